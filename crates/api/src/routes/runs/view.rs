//! Runs, as they are told.

use skylift_model::Timestamp;
use skylift_model::run::{Encoding, Ending, Job, RunState, RunStatus, Step};
use skylift_model::wire::{Run, RunCallback, RunCallbackState, RunCompiled, RunOutput, RunStep, RunUsage};
use skylift_store::{CallbackRow, CallbackState, RunRow};

/// A run that was answered with its end.
pub(super) fn ended(job: &Job, ending: Ending, whole_us: u64, created_at: Timestamp) -> Run {
    Run { attempts: 1, ..done(job, ending, Some(whole_us), created_at) }
}

/// A run as it is kept.
pub(super) fn kept(row: &RunRow, job: &Job, ending: Option<Ending>) -> Run {
    let run = match ending {
        Some(ending) => done(job, ending, None, row.created_at),
        None => pending(job, row.created_at),
    };
    let (error, finished_at, expires_at) = (row.error.clone(), row.finished_at, row.expires_at);
    let callback = row.callback.as_ref().map(callback);
    Run { state: row.state, attempts: row.attempts, error, finished_at, expires_at, callback, ..run }
}

/// That of a run which was just queued.
pub(super) fn to_be_told(url: &str) -> RunCallback {
    RunCallback { url: url.to_owned(), state: RunCallbackState::Waiting, attempts: 0, last_error: None }
}

fn callback(row: &CallbackRow) -> RunCallback {
    let state = match row.state {
        CallbackState::Waiting => RunCallbackState::Waiting,
        CallbackState::Told => RunCallbackState::Delivered,
        CallbackState::Failed => RunCallbackState::Failed,
    };
    RunCallback { url: row.url.clone(), state, attempts: row.attempts, last_error: row.error.clone() }
}

/// A run of which nothing has come yet.
pub(super) fn pending(job: &Job, created_at: Timestamp) -> Run {
    Run {
        id: job.id.clone(),
        language: job.language.clone(),
        version: None,
        state: RunState::Queued,
        status: None,
        exit_code: None,
        signal: None,
        stdout: String::new(),
        stderr: String::new(),
        stdout_truncated: false,
        stderr_truncated: false,
        encoding: job.encoding,
        compile: None,
        runs: Vec::new(),
        files: Vec::new(),
        files_truncated: false,
        usage: None,
        limits: job.limits,
        attempts: 0,
        error: None,
        waits_for: None,
        created_at,
        finished_at: None,
        expires_at: None,
        callback: None,
    }
}

fn done(job: &Job, ending: Ending, whole_us: Option<u64>, created_at: Timestamp) -> Run {
    let encoding = job.encoding;
    let usage = usage(&ending, whole_us);
    let Verdict { status, exit_code, signal, stdout, stderr, cut } = verdict(&ending, encoding);
    let runs = if job.stdins.len() > 1 {
        ending.steps.iter().map(|step| step_view(step, encoding)).collect()
    } else {
        Vec::new()
    };
    let compile = ending.compile.as_ref();
    let compile = compile.map(|done| RunCompiled { step: step_view(&done.step, encoding), cached: done.cached });
    let files = ending.files.into_iter().map(|taken| {
        let (content, encoding) = text_or_base64(taken.file.bytes);
        RunOutput { name: taken.file.path.as_str().to_owned(), content, encoding, run: taken.run }
    });
    Run {
        version: Some(ending.version),
        state: RunState::Done,
        status: Some(status),
        exit_code,
        signal,
        stdout,
        stderr,
        stdout_truncated: cut.0,
        stderr_truncated: cut.1,
        compile,
        runs,
        files: files.collect(),
        files_truncated: ending.files_truncated,
        usage: Some(usage),
        ..pending(job, created_at)
    }
}

/// What is told at the top.
struct Verdict {
    status: RunStatus,
    exit_code: Option<i32>,
    signal: Option<i32>,
    stdout: String,
    stderr: String,
    cut: (bool, bool),
}

fn verdict(ending: &Ending, encoding: Encoding) -> Verdict {
    match ending.decisive() {
        Some(step) => Verdict {
            status: step.status,
            exit_code: step.exit_code,
            signal: step.signal,
            stdout: encoding.encode(&step.stdout),
            stderr: encoding.encode(&step.stderr),
            cut: (step.stdout_truncated, step.stderr_truncated),
        },
        None => Verdict {
            status: RunStatus::Internal,
            exit_code: None,
            signal: None,
            stdout: String::new(),
            stderr: String::new(),
            cut: (false, false),
        },
    }
}

fn step_view(step: &Step, encoding: Encoding) -> RunStep {
    RunStep {
        status: step.status,
        exit_code: step.exit_code,
        signal: step.signal,
        stdout: encoding.encode(&step.stdout),
        stderr: encoding.encode(&step.stderr),
        stdout_truncated: step.stdout_truncated,
        stderr_truncated: step.stderr_truncated,
        usage: step.usage,
    }
}

/// Of all starts together; what is not the program's nor the worker's was spent waiting.
fn usage(ending: &Ending, whole_us: Option<u64>) -> RunUsage {
    let wall_us: u64 = ending.steps.iter().map(|step| step.usage.wall_us).sum();
    RunUsage {
        cpu_us: ending.steps.iter().map(|step| step.usage.cpu_us).sum(),
        wall_us,
        peak_memory_bytes: ending.steps.iter().map(|step| step.usage.peak_memory_bytes).max().unwrap_or_default(),
        queue_us: ending.waited_us.min(whole_us.unwrap_or(u64::MAX)),
        dispatch_us: ending.dispatch_us,
        start: ending.start,
    }
}

fn text_or_base64(bytes: Vec<u8>) -> (String, Encoding) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, Encoding::Utf8),
        Err(error) => (Encoding::Base64.encode(error.as_bytes()), Encoding::Base64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_leaves_in_base_64() {
        assert_eq!(text_or_base64(b"text".to_vec()), ("text".to_owned(), Encoding::Utf8));
        assert_eq!(text_or_base64(vec![0xff]), ("/w==".to_owned(), Encoding::Base64));
    }
}
