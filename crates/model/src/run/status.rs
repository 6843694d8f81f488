//! Where a run is in its life, and how it ended.

use serde::{Deserialize, Serialize};

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// It has ended; its status says how.
    Done,
    /// It was cancelled before it ended.
    Cancelled,
    /// It could not be run, however often it was tried.
    Dead,
}

impl RunState {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    /// Whether nothing more comes of it by itself.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled | Self::Dead)
    }
}

impl std::str::FromStr for RunState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let all = [Self::Queued, Self::Running, Self::Done, Self::Cancelled, Self::Dead];
        all.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

/// A word that is no state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run is queued, running, done, cancelled or dead")]
pub struct UnknownState;

/// How a run ended. Every one of them is a verdict about the code and answered with HTTP 200, but for `internal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It exited with 0.
    Ok,
    /// It exited with another code.
    ExitNonzero,
    /// A signal ended it, and none of the limits.
    Signal,
    /// It took longer than `wall_ms`.
    TimeLimit,
    /// It used more of processors than `cpu_ms`.
    CpuLimit,
    /// It needed more than `memory_bytes`.
    MemoryLimit,
    /// It printed more than `output_bytes`.
    OutputLimit,
    /// It could not be compiled; `compile` says why.
    CompileError,
    /// Our fault, not the code's.
    Internal,
}
