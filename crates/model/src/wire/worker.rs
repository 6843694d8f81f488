use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Language, ScalingAnswer, TunerTold};
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
    /// Who started it, where it was started by the backlog: the worker of that node is called so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// Whether it takes nothing more, and finishes what it has.
    #[serde(default)]
    pub drains: bool,
    /// What it has done lately.
    #[serde(default)]
    pub lately: Pace,
}

/// What workers have done in the last minute at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Pace {
    /// Runs of the queue that ended.
    pub done: u64,
    /// How long these took, together, in microseconds.
    pub busy_us: u64,
    /// In which time they ended, in milliseconds: of several workers, the time of each.
    pub in_ms: u64,
}

impl Pace {
    /// Runs that end in a second of a worker's; `None` before any time has passed.
    pub fn per_worker_second(&self) -> Option<f64> {
        (self.in_ms > 0).then(|| self.done as f64 * 1000.0 / self.in_ms as f64)
    }

    /// How long one run takes, in seconds; `None` where none ended.
    pub fn service_s(&self) -> Option<f64> {
        (self.done > 0).then(|| self.busy_us as f64 / 1e6 / self.done as f64)
    }

    /// Adds what others did.
    pub fn add(&mut self, other: Self) {
        self.done = self.done.saturating_add(other.done);
        self.busy_us = self.busy_us.saturating_add(other.busy_us);
        self.in_ms = self.in_ms.saturating_add(other.in_ms);
    }
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
    /// Runs that wait for their next attempt, or for their key, which has as many under way as it may.
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
    /// How many there are, what each has to do, and why there are as many.
    pub workforce: Workforce,
}

/// How many workers there are and how much is there for each, by the names that the scaling of workers uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Workforce {
    /// Those that take runs: `InServiceInstances`.
    pub in_service: u32,
    /// Those that were started and have not told anything yet.
    pub starting: u32,
    /// Those that take nothing more.
    pub draining: u32,
    /// `BacklogPerInstance`: `ApproximateNumberOfMessagesVisible` ÷ `InServiceInstances`; with none in service, as with one.
    pub backlog_per_instance: f64,
    /// Runs of the queue that ended in a second of a worker's, in the last minute; left out before anything is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_worker_second: Option<f64>,
    /// Who starts and ends workers by the backlog; left out where nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<WorkerScaling>,
}

/// The latest decision about how many workers there should be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerScaling {
    /// On which node they are started.
    pub node: String,
    /// How many there should be in all.
    pub desired: u32,
    /// How many of them are not started by the backlog.
    pub fixed: u32,
    /// How many it may start, at least and at most.
    pub min: u32,
    pub max: u32,
    /// How many it has started that have not told anything yet.
    pub starting: u32,
    /// Why, in words.
    pub reason: String,
    /// What each law says.
    pub answers: Vec<ScalingAnswer>,
}

impl WorkerScaling {
    /// By what its leader is known.
    pub const LEAD: &str = "workers of runs";
}
