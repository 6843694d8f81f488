//! What the tuner says: a setting, and in words why.

use std::collections::BTreeMap;

use serde::Serialize;

use super::idle::Window;

/// A setting and its reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Chosen<T> {
    /// The setting.
    pub value: T,
    /// Why, in words.
    pub why: String,
}

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tuning {
    /// Of each pool.
    pub pools: BTreeMap<String, PoolTuning>,
    /// Of the worker.
    pub worker: WorkerTuning,
    /// Memory that the pools may use beyond what they are set to, in bytes.
    pub room_bytes: u64,
}

/// What was learnt of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Learnt {
    /// Arrivals a second, lately (a window of 6 s) …
    pub rate_fast: f64,
    /// … and as usual (60 s).
    pub rate_slow: f64,
    /// Coefficient of variation of the time between arrivals, by the spread of their counts: 1 where they do not know each other.
    pub cv: f64,
    /// Most places that arrivals of the last seconds needed within one refill time.
    pub burst: u32,
    /// Time to make a place ready, in seconds.
    pub refill_s: Option<f64>,
    /// Time that a run takes, in seconds.
    pub service_s: Option<f64>,
    /// Time that a run waits for its turn, in seconds.
    pub wait_s: Option<f64>,
    /// Processor time of a run, in seconds.
    pub cpu_s: Option<f64>,
    /// Share of runs that found a place ready, of late.
    pub ready_share: Option<f64>,
    /// Share of runs for which an interpreter had to be started, of late.
    pub cold_share: Option<f64>,
    /// 99 of 100 runs used no more memory, in bytes.
    pub peak_p99_bytes: Option<f64>,
}

/// Settings of one pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolTuning {
    /// What they were made from.
    pub inputs: Learnt,
    /// Places that wait; 0 while the pool is not wanted at all.
    pub depth: Chosen<u32>,
    /// Whether the next run may start the pool where it is not there: not where others need its memory more.
    pub starts: bool,
    /// When the pool is wanted after its last run.
    pub window: Chosen<Window>,
    /// Memory that a run of it should be reckoned with, in bytes.
    pub memory_hint_bytes: Chosen<u64>,
}

/// Settings of the worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WorkerTuning {
    /// Runs at a time.
    pub concurrency: Chosen<u32>,
    /// `BacklogPerInstance` that is worth aiming at.
    pub backlog_target: Chosen<f64>,
}
