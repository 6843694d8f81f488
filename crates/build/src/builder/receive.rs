//! What comes out of a sandbox as frames, judged together with how the sandbox ended.

use anyhow::Context;

use super::Build;
use super::outcome::{Stop, disk_full, intake_stop, judge};
use crate::blob_sink::BlobSink;
use crate::cell::Ended;
use crate::frames::{IntakeError, Received};

impl Build<'_> {
    /// The files received in a step whose sandbox has ended. A stream cut short is explained by how that ended, and is our
    /// own fault where it seemed to end well. `command` is what the step runs, in words.
    pub(super) async fn received(
        &self,
        step: &str,
        command: &str,
        frames: Option<Result<Received, IntakeError>>,
        mut sink: BlobSink,
        ended: Ended,
    ) -> Result<Received, Stop> {
        let received = match frames {
            Some(Ok(received)) => received,
            // What a program says of a full disk is of no help.
            Some(Err(_)) if matches!(ended, Ended::DiskFull) => return Err(Stop::Failed(disk_full(step))),
            Some(Err(IntakeError::Truncated)) | None => {
                let settings = &self.builder.settings;
                judge(step, command, ended, settings.memory_bytes, settings.step_seconds)?;
                return Err(Stop::Fault(anyhow::anyhow!("`{command}` ended well, but its files did not")));
            }
            Some(Err(error)) => return Err(intake_stop(step, error)),
        };
        sink.flush().await.with_context(|| format!("store the files of step {step}"))?;
        Ok(received)
    }
}
