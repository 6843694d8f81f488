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
