//! What was seen since the last tick. Numbers that are none (NaN, infinite, negative, absurd) count as not seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::demand::Needs;

/// What was seen since the last tick.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The time, in milliseconds of any clock.
    pub now_ms: u64,
    /// By language, or whatever has a pool of its own. One that is left out was not seen, which is not that nobody used it.
    pub pools: BTreeMap<String, Seen>,
}

/// What was seen of one pool since the last tick. `None` is "not measured".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Runs that asked for a place.
    pub arrivals: Option<f64>,
    /// How many places each of them would have needed to be ready: the burst within one refill time.
    pub needs: Needs,
    /// Served by a place that was ready.
    pub ready: f64,
    /// Served by one that was forked when it was asked for.
    pub forked: f64,
    /// Served by an interpreter that had to be started.
    pub cold: f64,
    /// Mean time a run takes, in seconds.
    pub service_s: Option<f64>,
    /// Mean time to make a place ready, in seconds.
    pub refill_s: Option<f64>,
    /// Mean time that a run waited for its turn, in seconds.
    pub wait_s: Option<f64>,
    /// Mean processor time of a run, in seconds.
    pub cpu_s: Option<f64>,
    /// The most memory that each of some runs used, in bytes.
    pub peaks_bytes: Vec<f64>,
    /// Memory of what is loaded once for the pool, in bytes.
    pub base_bytes: Option<f64>,
    /// Memory of one place that waits, in bytes.
    pub place_bytes: Option<f64>,
}

/// No measure of ours is larger; what is larger is a broken sensor.
const LARGEST: f64 = 1e15;

/// What may be believed of a number.
pub(super) fn sane(value: f64) -> Option<f64> {
    (0.0..=LARGEST).contains(&value).then_some(value)
}
