//! What an owner may set about scaling. All defaults are here.

use serde::{Deserialize, Serialize};

/// A measure and how much of it one instance should have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Mean use of processor, in percent of an instance's own quota.
    Cpu(f64),
    /// Requests in flight, those that wait included, for one instance.
    InFlight(f64),
    /// Requests a second for one instance.
    Rps(f64),
    /// Messages that wait or are worked on, for one instance.
    Backlog(f64),
    /// `BacklogPerInstance`: `ApproximateNumberOfMessagesVisible` ÷ `InServiceInstances`; who holds a job stays.
    BacklogPerInstance(f64),
}

/// What happens once nothing waits any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drained {
    /// The hold counts as always: for instances of apps.
    Hold,
    /// Whoever holds nothing goes at the next tick, unless the last time was too early: for workers of runs.
    AtOnce,
}

/// What an owner may set. Times are in milliseconds. Absurd values are read as the nearest sane ones, never refused here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Never fewer. 0 allows to scale to zero after `idle_ms` and `idle_grace_ms`.
    pub min: u32,
    /// Never more; counts before `min` where the two disagree.
    pub max: u32,
    /// Several may be named: out if any asks, in only if all agree.
    pub policies: Vec<Policy>,
    /// How far from its target a ratio may be without a step: 0.1 is a tenth.
    pub tolerance: f64,
    /// Requests or messages that one instance works on at a time; for both backlogs, which plan ahead by it.
    pub slots: f64,
    /// How much of the slots' time should be in use: the rest takes up randomness.
    pub use_of_slots: f64,
    /// Time in which a predicted backlog should be gone once new instances serve.
    pub drain_ms: u64,
    /// The window that notices a surge.
    pub fast_ms: u64,
    /// The window that knows what is usual.
    pub slow_ms: u64,
    /// A surge is so many standard deviations above the usual.
    pub surge_sigmas: f64,
    /// In only to the most that was wanted in this time.
    pub in_hold_ms: u64,
    /// In at most by this share of the instances, in percent (but by one at least), …
    pub in_percent_max: u32,
    /// … in this time.
    pub in_step_ms: u64,
    /// A surge that needs so many times what is ready forbids scaling in for `slow_ms`.
    pub panic_ratio: f64,
    /// Instances that start forbid scaling in, but not for longer than this: one that never gets ready must not.
    pub warm_up_ms_max: u64,
    /// With `min` 0: idle for this time, …
    pub idle_ms: u64,
    /// … and this on top, before the last instance goes.
    pub idle_grace_ms: u64,
    /// What a drained backlog means.
    pub drained: Drained,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min: 1,
            max: 10,
            policies: vec![Policy::Cpu(50.0)],
            tolerance: 0.1,
            slots: 1.0,
            use_of_slots: 0.8,
            drain_ms: 15_000,
            fast_ms: 5_000,
            slow_ms: 60_000,
            surge_sigmas: 2.5,
            in_hold_ms: 90_000,
            in_percent_max: 50,
            in_step_ms: 60_000,
            panic_ratio: 2.0,
            warm_up_ms_max: 300_000,
            idle_ms: 60_000,
            idle_grace_ms: 30_000,
            drained: Drained::Hold,
        }
    }
}

impl Settings {
    /// For workers of runs: `BacklogPerInstance` 5.0, in at once when drained.
    #[must_use]
    pub fn for_runs() -> Self {
        Self { policies: vec![Policy::BacklogPerInstance(5.0)], drained: Drained::AtOnce, ..Self::default() }
    }

    /// The least and the most, in order.
    pub(crate) fn bounds(&self) -> (u32, u32) {
        (self.min.min(self.max), self.max)
    }
}
