use serde::{Deserialize, Serialize};

use super::WorkerState;
use crate::Timestamp;

/// A setting, and why it is as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tuned {
    /// The setting.
    pub value: f64,
    /// Why, in words.
    pub why: String,
}

/// What was learnt of a language on a worker, and what follows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TunedPool {
    /// The language.
    pub language: String,
    /// Runs a second, of the last seconds.
    pub rate_per_s: f64,
    /// Runs a second, of the last minute.
    pub usual_per_s: f64,
    /// Coefficient of variation of the time between runs: 1 where they do not know each other.
    pub variation: f64,
    /// The most places that runs of the last seconds needed within the time of making one.
    pub burst: u32,
    /// Time to make a place ready, in microseconds.
    pub refill_us: Option<u64>,
    /// Time that a run takes, in microseconds.
    pub service_us: Option<u64>,
    /// Time that a run waits for its turn, in microseconds.
    pub wait_us: Option<u64>,
    /// Processor time of a run, in microseconds.
    pub cpu_us: Option<u64>,
    /// Runs that found a place ready, of a hundred.
    pub ready_percent: Option<f64>,
    /// Runs that started an interpreter, of a hundred.
    pub cold_percent: Option<f64>,
    /// 99 of 100 runs used no more memory, in bytes.
    pub peak_p99_bytes: Option<u64>,
    /// Memory of what is loaded for places that wait, in bytes; seen, or reckoned with.
    pub loaded_bytes: u64,
    /// Memory of one place, in bytes; seen, or reckoned with.
    pub place_bytes: u64,
    /// Places that wait; left out where the language has none.
    pub depth: Option<Tuned>,
    /// For how long places wait after a run, or before the next is expected, in milliseconds after the last; left out where there are none.
    pub window: Option<TunedWindow>,
    /// Memory that a run should be reckoned with, in bytes.
    pub memory_hint_bytes: Tuned,
}

/// When places of a language wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TunedWindow {
    /// They are made again at this time after the last run; 0 where they are not let go before.
    pub from_ms: u64,
    /// They are let go at this time after the last run.
    pub until_ms: u64,
    /// Why, in words.
    pub why: String,
}

/// What a worker has learnt, and what it does by it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TunerTold {
    /// Languages that were run there.
    pub pools: Vec<TunedPool>,
    /// Runs at a time that it proposes.
    pub concurrency: Tuned,
    /// `BacklogPerInstance` that it proposes to aim at.
    pub backlog_target: Tuned,
    /// Memory that places may still take, in bytes.
    pub room_bytes: u64,
}

/// The tuner of one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tuner {
    /// What the worker's node is called.
    pub worker: String,
    /// Whether the worker has told anything lately.
    pub state: WorkerState,
    /// When it told this.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub told_at: Timestamp,
    /// What it told.
    #[serde(flatten)]
    pub told: TunerTold,
}

/// `GET /v1/tuner`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TunerList {
    /// Of each worker that has run anything, by name.
    pub tuners: Vec<Tuner>,
}
