//! How a run of code ended: what is said of it, and the exit code that goes with it.

use skylift_model::run::{Encoding, RunStatus, signal_name};
use skylift_model::wire::Run;

use crate::cli::exit;
use crate::cli::problem::Problem;

/// Ends as the program did, or with what stands for a limit that it met.
pub(super) fn end(run: &Run) -> Result<(), Problem> {
    match code(run) {
        Some(exit::SUCCESS) => Ok(()),
        Some(code) => Err(Problem::CommandExited(code)),
        None => {
            let why = run.error.clone().unwrap_or_else(|| "the platform could not run it".to_owned());
            Err(Problem::Internal { what: why, source: None })
        }
    }
}

/// `None` where there is no verdict.
fn code(run: &Run) -> Option<u8> {
    match run.status? {
        RunStatus::Ok => Some(exit::SUCCESS),
        // A signal is 128 and its number there already. No program exits with more than 255.
        RunStatus::ExitNonzero | RunStatus::Signal => u8::try_from(run.exit_code?).ok(),
        RunStatus::TimeLimit => Some(exit::TIME_OVER),
        RunStatus::CpuLimit | RunStatus::MemoryLimit | RunStatus::OutputLimit => Some(exit::LIMIT_MET),
        RunStatus::CompileError => Some(exit::NOT_COMPILED),
        RunStatus::Internal => None,
    }
}

/// What the program's output does not tell, and which limit it was.
pub(in crate::cli) fn why(run: &Run) -> Option<String> {
    let limits = &run.limits;
    Some(match run.status? {
        RunStatus::TimeLimit => format!("it ran longer than {} ms (`--limit wall_ms=…`)", limits.wall_ms),
        RunStatus::CpuLimit => format!("it used processors for longer than {} ms (`--limit cpu_ms=…`)", limits.cpu_ms),
        RunStatus::MemoryLimit => {
            format!("it needed more than {} bytes of memory (`--limit memory_bytes=…`)", limits.memory_bytes)
        }
        RunStatus::OutputLimit => {
            format!("it printed more than {} bytes (`--limit output_bytes=…`)", limits.output_bytes)
        }
        RunStatus::CompileError => "it did not compile".to_owned(),
        RunStatus::Signal => {
            let number = run.signal?;
            format!("{} ended it", signal_name(number).unwrap_or_else(|| format!("signal {number}")))
        }
        RunStatus::Ok | RunStatus::ExitNonzero | RunStatus::Internal => return None,
    })
}

/// The bytes that a text of the run stands for.
pub(in crate::cli) fn decoded(run: &Run, text: &str) -> Vec<u8> {
    run.encoding.decode(text.to_owned()).unwrap_or_default()
}

/// What a compiler said of a program that it compiled all the same; else it is what the run printed.
pub(in crate::cli) fn warned(run: &Run) -> Vec<u8> {
    let compiled = run.compile.as_ref().filter(|_| run.status != Some(RunStatus::CompileError));
    compiled.map(|compiled| decoded(run, &compiled.step.stderr)).unwrap_or_default()
}

/// The same run told as text, where all that it printed is; else as it is.
pub(in crate::cli) fn as_text(run: Run) -> Run {
    let mut told = run.clone();
    let encoding = run.encoding;
    let texts = texts(&mut told).into_iter();
    let are_text = texts.map(|text| {
        let bytes = encoding.decode(std::mem::take(text))?;
        *text = String::from_utf8(bytes).ok()?;
        Some(())
    });
    match are_text.collect::<Option<()>>() {
        Some(()) => Run { encoding: Encoding::Utf8, ..told },
        None => run,
    }
}

/// All that is written in the run's encoding.
fn texts(run: &mut Run) -> Vec<&mut String> {
    let mut texts = vec![&mut run.stdout, &mut run.stderr];
    let compiled = run.compile.as_mut().map(|compiled| &mut compiled.step);
    texts.extend(compiled.into_iter().chain(&mut run.runs).flat_map(|step| [&mut step.stdout, &mut step.stderr]));
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: &str, exit_code: Option<i32>) -> Run {
        let limits = serde_json::to_value(skylift_model::run::LIMITS.usual).unwrap();
        let step = serde_json::json!({ "status": "ok", "exit_code": 0, "signal": null, "stdout": "aGk=", "stderr": "",
            "stdout_truncated": false, "stderr_truncated": false, "cached": false,
            "usage": { "cpu_us": 1, "wall_us": 1, "peak_memory_bytes": 1 } });
        serde_json::from_value(serde_json::json!({
            "id": "x-000000000zzzzzzz", "language": "c", "version": "1", "state": "done", "status": status, "exit_code": exit_code,
            "signal": exit_code.map(|code| code - 128).filter(|signal| *signal > 0), "stdout": "aGk=", "stderr": "",
            "stdout_truncated": false, "stderr_truncated": false, "encoding": "base64", "compile": step, "limits": limits,
            "usage": null, "attempts": 1, "created_at": "2026-01-02T03:04:05Z" }))
        .unwrap()
    }

    #[test]
    fn each_end_has_its_code_and_the_programs_own_is_passed_on() {
        for (status, exit_code, told) in [
            ("ok", Some(0), Some(0)),
            ("exit_nonzero", Some(7), Some(7)),
            ("exit_nonzero", Some(125), Some(125)),
            ("signal", Some(139), Some(139)),
            ("time_limit", Some(137), Some(124)),
            ("cpu_limit", Some(137), Some(123)),
            ("memory_limit", None, Some(123)),
            ("output_limit", Some(0), Some(123)),
            ("compile_error", Some(1), Some(122)),
            ("internal", None, None),
        ] {
            assert_eq!(code(&run(status, exit_code)), told, "{status}");
        }
        assert_eq!(why(&run("signal", Some(139))).as_deref(), Some("SIGSEGV ended it"));
        assert_eq!(why(&run("exit_nonzero", Some(1))), None);
    }

    #[test]
    fn what_is_text_is_told_as_text_and_what_is_none_stays_as_it_came() {
        let told = as_text(run("ok", Some(0)));
        assert_eq!((&*told.stdout, told.encoding), ("hi", Encoding::Utf8));
        assert_eq!(told.compile.unwrap().step.stdout, "hi");
        let bytes = Run { stderr: "/w==".to_owned(), ..run("ok", Some(0)) };
        assert_eq!(as_text(bytes.clone()), bytes);
    }
}
