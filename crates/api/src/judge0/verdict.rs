//! What came of a submission, in Judge0's terms. Pure.

use skylift_model::run::{Compiled, Ending, RunState, RunStatus, Step};
use skylift_store::RunRow;

use super::status;
use super::submission::Note;

/// What is told of a submission that has ended, or has not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    pub(super) status: u8,
    pub(super) stdout: Option<Vec<u8>>,
    pub(super) stderr: Option<Vec<u8>>,
    pub(super) compile_output: Option<Vec<u8>>,
    pub(super) message: Option<String>,
    pub(super) exit_code: Option<i32>,
    pub(super) exit_signal: Option<i32>,
    /// Of the processor, in microseconds.
    pub(super) time_us: Option<u64>,
    pub(super) wall_us: Option<u64>,
    pub(super) memory_kb: Option<u64>,
}

impl Verdict {
    /// Of a run as it is stored.
    pub(super) fn of(row: &RunRow, note: &Note, ending: Option<&Ending>) -> Self {
        let internal = |message: Option<String>| Self { status: status::INTERNAL, message, ..Self::default() };
        match (row.state, ending) {
            (RunState::Queued, _) => Self { status: status::QUEUED, ..Self::default() },
            (RunState::Running, _) => Self { status: status::PROCESSING, ..Self::default() },
            (RunState::Done, Some(ending)) => Self::of_ending(note, ending),
            (RunState::Cancelled, _) => internal(Some("the run was cancelled".to_owned())),
            (RunState::Done | RunState::Dead, _) => internal(row.error.clone()),
        }
    }

    pub(super) fn of_ending(note: &Note, ending: &Ending) -> Self {
        let compiled = ending.compile.as_ref();
        if ending.steps.is_empty() {
            return compiled.map_or_else(|| Self { status: status::INTERNAL, ..Self::default() }, not_compiled);
        }
        let expected = note.expected();
        let judged: Vec<(Judged, &Step)> =
            ending.steps.iter().map(|step| (judge(step, note, expected.as_deref()), step)).collect();
        // They run it again only as long as it is accepted, and tell the last of these.
        let count =
            judged.iter().position(|(judged, _)| judged.status != status::ACCEPTED).map_or(judged.len(), |at| at + 1);
        let counted = judged.get(..count).unwrap_or_default();
        let average = |of: fn(&Step) -> u64| {
            let all: u64 = counted.iter().map(|(_, step)| of(step)).sum();
            all.checked_div(u64::try_from(counted.len()).unwrap_or(1))
        };
        let Some((last, step)) = counted.last() else { return Self::default() };
        let (stdout, stderr) = printed(step, note.redirect_stderr_to_stdout);
        Self {
            status: last.status,
            stdout,
            stderr,
            compile_output: compiled.and_then(|compiled| both(&compiled.step)),
            message: last.message.clone(),
            exit_code: Some(last.exit_code),
            exit_signal: last.exit_signal,
            time_us: average(|step| step.usage.cpu_us),
            wall_us: Some(step.usage.wall_us),
            memory_kb: average(|step| step.usage.peak_memory_bytes / 1024),
        }
    }
}

fn not_compiled(compiled: &Compiled) -> Verdict {
    let step = &compiled.step;
    match step.status {
        RunStatus::Internal => Verdict { status: status::INTERNAL, ..Verdict::default() },
        RunStatus::TimeLimit | RunStatus::CpuLimit => {
            let told = b"Compilation time limit exceeded.".to_vec();
            Verdict { status: status::COMPILATION, compile_output: Some(told), ..Verdict::default() }
        }
        _ => Verdict { status: status::COMPILATION, compile_output: both(step), ..Verdict::default() },
    }
}

/// How one start of the program is judged.
struct Judged {
    status: u8,
    message: Option<String>,
    exit_code: i32,
    exit_signal: Option<i32>,
}

fn judge(step: &Step, note: &Note, expected: Option<&[u8]>) -> Judged {
    let fine = |status| Judged { status, message: None, exit_code: 0, exit_signal: None };
    let late = |message: &str| Judged { message: Some(message.to_owned()), ..fine(status::TIME) };
    // Theirs ends with a signal what ours ends by itself.
    let killed = |signal, message| Judged {
        message: Some(message),
        exit_signal: Some(signal),
        ..fine(status::of_signal(signal))
    };
    match step.status {
        // It had a little longer than its limit, so that what it took can be told.
        RunStatus::Ok if is_late(step, note) => late("Time limit exceeded"),
        RunStatus::Ok if expected.is_none_or(|expected| is_same(expected, &step.stdout)) => fine(status::ACCEPTED),
        RunStatus::Ok => fine(status::WRONG),
        RunStatus::CpuLimit => late("Time limit exceeded"),
        RunStatus::TimeLimit => late("Time limit exceeded (wall clock)"),
        RunStatus::ExitNonzero => {
            let exit_code = step.exit_code.unwrap_or(1);
            Judged {
                message: Some(format!("Exited with error status {exit_code}")),
                exit_code,
                ..fine(status::NONZERO)
            }
        }
        RunStatus::Signal => {
            let signal = step.signal.unwrap_or(9);
            killed(signal, format!("Caught fatal signal {signal}"))
        }
        RunStatus::MemoryLimit => killed(9, "Caught fatal signal 9 (memory limit exceeded)".to_owned()),
        RunStatus::OutputLimit => killed(25, "Caught fatal signal 25 (output limit exceeded)".to_owned()),
        RunStatus::CompileError => fine(status::COMPILATION),
        RunStatus::Internal => fine(status::INTERNAL),
    }
}

fn is_late(step: &Step, note: &Note) -> bool {
    note.cpu_time_limit > 0.0 && step.usage.cpu_us as f64 > note.cpu_time_limit * 1e6
}

/// Whether two outputs are the same but for blanks at the ends of lines, and empty lines at the end.
fn is_same(expected: &[u8], printed: &[u8]) -> bool {
    let lines = |bytes| -> Vec<&[u8]> {
        let mut lines: Vec<&[u8]> = trimmed(bytes).split(|byte| *byte == b'\n').map(trimmed).collect();
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        lines
    };
    lines(expected) == lines(printed)
}

/// Without blanks at the end; Ruby counts NUL among them.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b'\0' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | b' ');
    let length = bytes.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1);
    bytes.get(..length).unwrap_or_default()
}

fn printed(step: &Step, together: bool) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    if together { (both(step), None) } else { (some(step.stdout.clone()), some(step.stderr.clone())) }
}

fn both(step: &Step) -> Option<Vec<u8>> {
    some([step.stdout.as_slice(), &step.stderr].concat())
}

/// They tell nothing where there is nothing.
fn some(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests;
