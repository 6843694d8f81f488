use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Language, TunerTold};
use crate::Timestamp;

/// What a worker of runs tells of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerTold {
    /// What can be run there; empty before anything was, where only its own process asks.
    pub languages: Vec<Language>,
    /// How many it runs at the same time.
    pub at_once: usize,
    /// How many runs of the queue it runs.
    pub running: usize,
    /// How many it has taken beyond those.
    pub ahead: usize,
    /// The version of its program.
    pub version: String,
    /// How warm it keeps languages, and why; left out before anything was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuner: Option<TunerTold>,
}

impl WorkerTold {
    /// How often a worker tells.
    pub const EVERY: Duration = Duration::from_secs(5);
    /// After how long without a word, three of them missed, a worker is lost.
    pub const LOST_AFTER: Duration = Duration::from_secs(16);
}

/// A worker of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Worker {
    /// What its node is called.
    pub name: String,
    /// Whether it has told anything lately.
    pub state: WorkerState,
    /// When it told anything last.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub told_at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub told: WorkerTold,
}

/// Whether a worker is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It tells how it is.
    Ok,
    /// It has missed three times to tell.
    Lost,
}

/// What waits for workers and what they have, by the names that the scaling of workers uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunBacklog {
    /// Runs that wait and may be taken now: `ApproximateNumberOfMessagesVisible`.
    pub visible: u64,
    /// Runs that wait for their next attempt.
    pub delayed: u64,
    /// Runs that a worker has.
    pub running: u64,
    /// Runs that were given up and are kept.
    pub dead: u64,
    /// How long the oldest that waits has waited, in milliseconds.
    pub oldest_ms: u64,
}

/// `GET /v1/workers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerList {
    /// Everyone that told anything and did not leave, by name.
    pub workers: Vec<Worker>,
    /// What they have to do.
    pub backlog: RunBacklog,
}
