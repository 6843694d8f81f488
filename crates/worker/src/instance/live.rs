//! An instance whose process runs, wherever that is: the one seam between sandboxes and containers.

use skylift_sandbox::{Door, Listening, Outcome, Unheard};

use super::contained::Contained;
use super::sandboxed::Sandboxed;
use crate::ended::Cause;
use crate::meters::Read;

pub(super) enum Live {
    Sandboxed(Sandboxed),
    Contained(Contained),
}

impl Live {
    /// The way to what it listens on, where somebody is to speak to it.
    pub(super) fn door(&self) -> Option<Door> {
        match self {
            Self::Sandboxed(sandboxed) => sandboxed.door.clone(),
            Self::Contained(contained) => contained.door(),
        }
    }

    /// Where it is found on which ports its processes listen.
    pub(super) fn listening(&self) -> Listening {
        match self {
            Self::Sandboxed(sandboxed) => sandboxed.listening(),
            Self::Contained(contained) => contained.listening(),
        }
    }

    /// What its programs send to ports where nobody listens; `None` where it has ended.
    pub(super) fn unheard(&self) -> Option<Unheard> {
        match self {
            Self::Sandboxed(sandboxed) => sandboxed.unheard(),
            Self::Contained(contained) => contained.unheard(),
        }
    }

    /// Reads what it has used of processors; lets go of it when dropped.
    pub(super) fn meter(&self) -> Read {
        match self {
            Self::Sandboxed(sandboxed) => sandboxed.meter(),
            Self::Contained(contained) => contained.meter(),
        }
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&self) -> anyhow::Result<()> {
        match self {
            Self::Sandboxed(sandboxed) => sandboxed.ended().await,
            Self::Contained(contained) => {
                contained.ended().await;
                Ok(())
            }
        }
    }

    /// Returns once it has written more than `bytes_max` to disk, or too many files.
    pub(super) async fn exceeds(&self, bytes_max: u64) -> Cause {
        match self {
            Self::Sandboxed(sandboxed) => sandboxed.exceeds(bytes_max).await,
            Self::Contained(contained) => contained.exceeds(bytes_max).await,
        }
    }

    /// Asks it to end.
    pub(super) async fn terminate(&self) {
        match self {
            Self::Sandboxed(sandboxed) => sandboxed.terminate(),
            Self::Contained(contained) => contained.terminate().await,
        }
    }

    /// Kills it. May be repeated.
    pub(super) async fn kill(&self) {
        match self {
            Self::Sandboxed(sandboxed) => sandboxed.kill(),
            Self::Contained(contained) => contained.kill().await,
        }
    }

    /// Waits for the end of everything in it, and of what it printed; says how it went.
    pub(super) async fn finish(self) -> anyhow::Result<Outcome> {
        match self {
            Self::Sandboxed(sandboxed) => sandboxed.finish().await,
            Self::Contained(contained) => contained.finish().await,
        }
    }
}
