//! How a build stops short, and what is said about it.

use std::io;

use skylift_model::AppName;
use skylift_model::instance_type::UnknownType;
use skylift_model::wire::Failure;
use skylift_sandbox::{Exit, Outcome};
use skylift_store::StoreError;

use crate::cell::{CellError, Ended};
use crate::checkout::CheckoutError;
use crate::detect::DetectError;
use crate::frames::{IntakeError, Refusal};
use crate::site::SiteError;
use crate::toolchain::ToolError;

/// Why a build does not go on.
pub(crate) enum Stop {
    /// The user's failure: told, and final.
    Failed(Failure),
    /// Cancelled, or another worker has the job.
    Cancelled,
    /// Ours: tried again.
    Fault(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Fault(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Fenced) { Self::Cancelled } else { Self::Fault(error.into()) }
    }
}

impl From<CellError> for Stop {
    fn from(error: CellError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<CheckoutError> for Stop {
    fn from(error: CheckoutError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<ToolError> for Stop {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::Unavailable { message, hint } => {
                Self::Failed(Failure { hint: Some(hint), ..failure("tools", &message) })
            }
            ToolError::DiskFull => Self::Failed(disk_full("tools")),
            ToolError::Cancelled => Self::Cancelled,
            error => Self::Fault(error.into()),
        }
    }
}

/// A failure without exit code or hint.
pub(crate) fn failure(step: &str, message: &str) -> Failure {
    Failure { step: step.to_owned(), message: message.to_owned(), exit_code: None, hint: None }
}

/// No attempt gets further while the disk is as it is.
pub(crate) fn disk_full(step: &str) -> Failure {
    let hint = "free some space on the server (`skylift gc` removes what nothing needs), then deploy again";
    Failure { hint: Some(hint.to_owned()), ..failure(step, "the disk of the platform's data folder is full") }
}

impl Stop {
    /// Tells a full disk at once, which as a fault of ours would be tried again and again.
    pub(crate) fn naming_a_full_disk(self) -> Self {
        match self {
            Self::Fault(error) if is_out_of_space(&error) => Self::Failed(disk_full("build")),
            other => other,
        }
    }
}

/// Whether a write of ours, or one of a sandbox being made, met the end of the disk.
fn is_out_of_space(error: &anyhow::Error) -> bool {
    let by_kind = error.chain().any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    });
    // What failed inside a sandbox has crossed to us as text.
    by_kind
        || [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT]
            .iter()
            .any(|errno| format!("{error:#}").contains(&format!("(os error {})", errno.raw_os_error())))
}

pub(crate) fn not_planned(error: &DetectError) -> Stop {
    Stop::Failed(Failure { hint: Some(error.hint()), ..failure("detect", &skylift_model::chain(error)) })
}

pub(crate) fn unknown_type(unknown: &UnknownType) -> Failure {
    let hint = "name one of those in skylift.toml ([instance] type), or leave it out; the platform's owner adds one with \
                [[instance_type]] in config.toml";
    Failure { hint: Some(hint.to_owned()), ..failure("detect", &unknown.to_string()) }
}

pub(crate) fn linked_to_itself(app: &AppName) -> (String, String) {
    let hint = "inside an instance it is at http://127.0.0.1:$PORT; take the [[link]] out of skylift.toml";
    (format!("the app `{app}` links itself"), hint.to_owned())
}

pub(crate) fn linked_to_nobody(app: &AppName) -> (String, String) {
    let hint = format!("make it with `skylift create {app}`, or correct the [[link]] in skylift.toml");
    (format!("no app `{app}` is there to be linked"), hint)
}

pub(crate) fn site_stop(error: SiteError) -> Stop {
    match &error {
        SiteError::Empty(_) | SiteError::NoFolder(_) => Stop::Failed(Failure {
            hint: Some("name the folder with the result in skylift.toml: [build] output = \"…\"".to_owned()),
            ..failure("output", &error.to_string())
        }),
        SiteError::Link { .. } => Stop::Failed(failure("output", &error.to_string())),
        _ => Stop::Fault(error.into()),
    }
}

/// What a sandbox said about files it was asked for.
pub(crate) fn intake_stop(step: &str, error: IntakeError) -> Stop {
    match error.as_refusal() {
        Some(refusal) => refused(step, &refusal),
        None => Stop::Fault(error.into()),
    }
}

pub(crate) fn refused(step: &str, refusal: &Refusal) -> Stop {
    let hint = Some(refusal.hint.clone()).filter(|hint| !hint.is_empty());
    Stop::Failed(Failure { hint, ..failure(step, &refusal.message) })
}

/// Whether a command did what it should; else the failure, with its cause.
pub(crate) fn judge(step: &str, command: &str, ended: Ended, memory_bytes: u64, seconds: u64) -> Result<Outcome, Stop> {
    let outcome = match ended {
        Ended::Exited(outcome) => outcome,
        Ended::Cancelled => return Err(Stop::Cancelled),
        Ended::TimedOut => {
            let message = format!("time limit: `{command}` took longer than {seconds} s");
            return Err(Stop::Failed(failure(step, &message)));
        }
        Ended::TooMuchOutput => {
            let message = format!("output limit: `{command}` printed too much");
            return Err(Stop::Failed(failure(step, &message)));
        }
        Ended::DiskFull => return Err(Stop::Failed(disk_full(step))),
        Ended::DiskLimit(what) => {
            return Err(Stop::Failed(failure(step, &format!("{what} in `{command}`"))));
        }
    };
    if outcome.exit == Exit::Code(0) {
        return Ok(outcome);
    }
    Err(Stop::Failed(exit_failure(step, command, &outcome, memory_bytes)))
}

/// What to say of a command that did not end well by itself.
pub(crate) fn exit_failure(step: &str, command: &str, outcome: &Outcome, memory_bytes: u64) -> Failure {
    let exit_code = match outcome.exit {
        Exit::Code(code) => Some(code),
        Exit::Signal(_) => None,
    };
    if outcome.out_of_memory {
        let (used, limit) = (outcome.peak_memory_bytes.min(memory_bytes), memory_bytes);
        #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let message = format!("out of memory: {:.1} of {:.1} GiB in `{command}`", gib(used), gib(limit));
        let hint = Some("the owner can raise [build] memory_bytes".to_owned());
        return Failure { exit_code, hint, ..failure(step, &message) };
    }
    let message = match outcome.exit {
        Exit::Code(code) => format!("`{command}` exited with code {code}"),
        Exit::Signal(signal) => format!("`{command}` was ended by signal {signal}"),
    };
    let hint = outcome.pids_limit_hit.then(|| "it met the limit for processes and threads, [build] pids".to_owned());
    Failure { exit_code, hint, ..failure(step, &message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_at_once_and_other_faults_are_tried_again() {
        let named = |error: anyhow::Error| match Stop::Fault(error).naming_a_full_disk() {
            Stop::Failed(failure) => failure.message,
            Stop::Fault(_) => "tried again".to_owned(),
            Stop::Cancelled => "cancelled".to_owned(),
        };
        let full = "the disk of the platform's data folder is full";
        let by_us = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            anyhow::Error::from(CheckoutError::Io { step: "write", path: "/x".into(), source }).context("lay out")
        };
        assert_eq!(named(by_us(rustix::io::Errno::NOSPC.raw_os_error())), full);
        assert_eq!(named(by_us(rustix::io::Errno::DQUOT.raw_os_error())), full);
        assert_eq!(named(by_us(rustix::io::Errno::IO.raw_os_error())), "tried again");
        let inside = |message: &str| {
            let message = message.to_owned();
            CellError::Spawn(skylift_sandbox::SpawnError::SetUp { message }).into()
        };
        assert_eq!(named(inside("make the mount point /app: No space left on device (os error 28)")), full);
        assert_eq!(named(inside("mount on /app: Operation not permitted (os error 1)")), "tried again");
    }
}
