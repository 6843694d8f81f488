//! From how a run ended to what Piston's clients are told. Pure.

use serde::Serialize;
use skylift_model::run::{Ending, RunStatus, Step, signal_name};

use super::runtimes::Runtime;

/// The answer to a run.
#[derive(Debug, Serialize)]
pub(super) struct Reply {
    #[serde(skip_serializing_if = "Option::is_none")]
    compile: Option<Stage>,
    run: Stage,
    language: String,
    version: String,
}

/// How a stage went, as Piston's clients are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Stage {
    signal: Option<String>,
    stdout: String,
    stderr: String,
    code: Option<i32>,
    /// Both streams as one.
    output: String,
    memory: u64,
    message: Option<String>,
    status: Option<&'static str>,
    cpu_time: u64,
    wall_time: u64,
}

/// How a stage ended: its code or its signal, and Piston's word for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<String>,
    pub(super) status: Option<&'static str>,
    pub(super) message: Option<String>,
}

/// `both` is what the program printed, in order, where that was heard.
pub(super) fn reply(runtime: &Runtime, ending: &Ending, both: Vec<u8>) -> Reply {
    let compile = ending.compile.as_ref().map(|compiled| stage(&compiled.step, Vec::new()));
    // Where nothing was run, its end is the compiler's.
    let run = match ending.steps.first() {
        Some(step) => stage(step, both),
        None => compile.clone().unwrap_or_else(nothing),
    };
    Reply { compile, run, language: runtime.language.clone(), version: runtime.version.clone() }
}

fn stage(step: &Step, both: Vec<u8>) -> Stage {
    let End { code, signal, status, message } = end(step);
    let is_all = both.len() == step.stdout.len() + step.stderr.len();
    let both = if is_all { both } else { [step.stdout.as_slice(), &step.stderr].concat() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Stage {
        signal,
        stdout: text(&step.stdout),
        stderr: text(&step.stderr),
        code,
        output: text(&both),
        memory: step.usage.peak_memory_bytes,
        message,
        status,
        cpu_time: step.usage.cpu_us.div_ceil(1000),
        wall_time: step.usage.wall_us.div_ceil(1000),
    }
}

/// How a step ended, in Piston's words.
pub(super) fn end(step: &Step) -> End {
    let (status, message) = match step.status {
        RunStatus::Ok => return End { code: Some(0), signal: None, status: None, message: None },
        RunStatus::ExitNonzero => return exited(step),
        RunStatus::CompileError if step.signal.is_none() => return exited(step),
        RunStatus::Signal | RunStatus::CompileError => return signalled(step),
        RunStatus::TimeLimit => ("TO", "Time limit exceeded (wall clock)"),
        RunStatus::CpuLimit => ("TO", "Time limit exceeded"),
        RunStatus::MemoryLimit => ("SG", "Memory limit exceeded"),
        RunStatus::OutputLimit if step.stderr_truncated && !step.stdout_truncated => ("EL", "stderr length exceeded"),
        RunStatus::OutputLimit => ("OL", "stdout length exceeded"),
        RunStatus::Internal => return End { status: Some("XX"), message: Some("Internal error".to_owned()), ..none() },
    };
    End { code: None, signal: signal_name(9), status: Some(status), message: Some(message.to_owned()) }
}

fn exited(step: &Step) -> End {
    let code = step.exit_code.unwrap_or_default();
    let message = format!("Exited with error status {code}");
    End { code: Some(code), signal: None, status: Some("RE"), message: Some(message) }
}

fn signalled(step: &Step) -> End {
    let number = step.signal.unwrap_or_default();
    let message = format!("Caught fatal signal {number}");
    End { code: None, signal: signal_name(number), status: Some("SG"), message: Some(message) }
}

fn none() -> End {
    End { code: None, signal: None, status: None, message: None }
}

/// A run of which nothing is known, which there is not.
fn nothing() -> Stage {
    let End { code, signal, .. } = none();
    Stage {
        signal,
        stdout: String::new(),
        stderr: String::new(),
        code,
        output: String::new(),
        memory: 0,
        message: Some("Internal error".to_owned()),
        status: Some("XX"),
        cpu_time: 0,
        wall_time: 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use skylift_model::run::{Compiled, Usage, Warmth};

    use super::super::runtimes::tests::language;
    use super::*;

    fn step(status: RunStatus, code: Option<i32>, signal: Option<i32>) -> Step {
        Step {
            status,
            exit_code: code,
            signal,
            stdout: b"o\xff".to_vec(),
            stderr: b"e".to_vec(),
            stdout_truncated: false,
            stderr_truncated: false,
            usage: Usage { cpu_us: 1500, wall_us: 20_000, peak_memory_bytes: 7 },
        }
    }

    fn told(compile: Option<Step>, run: Option<Step>, both: &[u8]) -> Value {
        let runtime = Runtime::of(&language("c++", "12.2", true));
        let ending = Ending {
            compile: compile.map(|step| Compiled { step, cached: false }),
            steps: run.into_iter().collect(),
            files: Vec::new(),
            files_truncated: false,
            start: Warmth::Cold,
            waited_us: 0,
            dispatch_us: 0,
            version: "12.2".to_owned(),
        };
        serde_json::to_value(reply(&runtime, &ending, both.to_vec())).unwrap()
    }

    #[test]
    fn a_run_that_went_well_has_neither_status_nor_message() {
        let told = told(None, Some(step(RunStatus::Ok, Some(0), None)), b"eo\xff");
        let run = json!({"stdout": "o\u{fffd}", "stderr": "e", "output": "eo\u{fffd}", "code": 0, "signal": null, "message": null,
            "status": null, "cpu_time": 2, "wall_time": 20, "memory": 7});
        assert_eq!(told, json!({"run": run, "language": "c++", "version": "12.2.0"}));
    }

    #[test]
    fn where_it_did_not_compile_the_compilers_end_is_the_runs() {
        let told = told(Some(step(RunStatus::CompileError, Some(1), None)), None, b"");
        assert_eq!(told["run"], told["compile"]);
        assert_eq!(
            (&told["run"]["status"], &told["run"]["code"], &told["run"]["output"]),
            (&json!("RE"), &json!(1), &json!("o\u{fffd}e"))
        );
    }

    #[test]
    fn every_end_has_pistons_word() {
        let mut too_much = step(RunStatus::OutputLimit, Some(137), Some(9));
        too_much.stderr_truncated = true;
        for (step, status, code, signal) in [
            (step(RunStatus::ExitNonzero, Some(3), None), "RE", Some(3), None),
            (step(RunStatus::Signal, Some(139), Some(11)), "SG", None, Some("SIGSEGV")),
            (step(RunStatus::TimeLimit, Some(137), Some(9)), "TO", None, Some("SIGKILL")),
            (step(RunStatus::CpuLimit, Some(137), Some(9)), "TO", None, Some("SIGKILL")),
            (step(RunStatus::MemoryLimit, Some(137), Some(9)), "SG", None, Some("SIGKILL")),
            (step(RunStatus::OutputLimit, Some(137), Some(9)), "OL", None, Some("SIGKILL")),
            (too_much, "EL", None, Some("SIGKILL")),
            (step(RunStatus::CompileError, Some(139), Some(11)), "SG", None, Some("SIGSEGV")),
            (step(RunStatus::Internal, None, None), "XX", None, None),
        ] {
            let end = end(&step);
            assert_eq!((end.status, end.code, end.signal.as_deref()), (Some(status), code, signal), "{step:?}");
            assert!(end.message.is_some());
        }
    }
}
