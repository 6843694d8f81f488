//! What the tuner may not leave. All defaults are here.

use serde::{Deserialize, Serialize};

use super::demand::NEEDS;

/// What the tuner may not leave. Absurd values are read as the nearest sane ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// Memory of all pools together, in bytes (PSS): interpreters that are loaded, and places that wait.
    pub memory_bytes: f64,
    /// Fewest places that wait while a pool is wanted.
    pub depth_min: u32,
    /// Most places that wait in one pool.
    pub depth_max: u32,
    /// Share of arrivals that should find a place ready, of those that find their pool there.
    pub ready_goal: f64,
    /// How many coefficients of variation above the mean of a refill time are planned for.
    pub spread: f64,
    /// A surge is so many times the usual rate: then the last seconds alone count.
    pub panic_ratio: f64,
    /// A pool that nobody uses is let go after this time at the latest, and is ready ahead of time for no longer.
    pub keep_ms_max: u64,
    /// Depth goes down only to the most that was wanted in this time.
    pub hold_ms: u64,
    /// Processors of the worker.
    pub processors: f64,
    /// Memory for runs, in bytes.
    pub run_memory_bytes: f64,
    /// Fewest runs at a time.
    pub concurrency_min: u32,
    /// Most runs at a time.
    pub concurrency_max: u32,
    /// What a run may use where nothing is known of its language, in bytes; no hint is more.
    pub memory_hint_bytes_max: u64,
    /// How long a job may wait in the queue, in seconds: what the proposed backlog target is made of.
    pub wait_goal_s: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            memory_bytes: 90.0 * 1024.0 * 1024.0,
            depth_min: 1,
            depth_max: 16,
            ready_goal: 0.9999,
            spread: 2.0,
            panic_ratio: 2.0,
            keep_ms_max: 300_000,
            hold_ms: 300_000,
            processors: 2.0,
            run_memory_bytes: 4.0 * 1024.0 * 1024.0 * 1024.0,
            concurrency_min: 1,
            concurrency_max: 64,
            memory_hint_bytes_max: 256 * 1024 * 1024,
            wait_goal_s: 1.0,
        }
    }
}

impl Bounds {
    /// The same, with what makes no sense read as the nearest that does.
    pub(super) fn sane(&self) -> Self {
        let usual = Self::default();
        let or = |value: f64, least: f64, otherwise: f64| {
            if value.is_finite() && value >= least { value.min(1e15) } else { otherwise }
        };
        let depth_max = self.depth_max.min(NEEDS as u32);
        Self {
            memory_bytes: or(self.memory_bytes, 0.0, 0.0),
            depth_min: self.depth_min.min(depth_max),
            depth_max,
            ready_goal: or(self.ready_goal, 0.0, usual.ready_goal).min(1.0),
            spread: or(self.spread, 0.0, usual.spread).min(100.0),
            panic_ratio: or(self.panic_ratio, 1.0, usual.panic_ratio),
            keep_ms_max: self.keep_ms_max,
            hold_ms: self.hold_ms,
            processors: or(self.processors, 0.01, usual.processors),
            run_memory_bytes: or(self.run_memory_bytes, 0.0, 0.0),
            concurrency_min: self.concurrency_min.clamp(1, self.concurrency_max.max(1)),
            concurrency_max: self.concurrency_max.max(1),
            memory_hint_bytes_max: self.memory_hint_bytes_max,
            wait_goal_s: or(self.wait_goal_s, 0.001, usual.wait_goal_s),
        }
    }
}
