//! What came of a load, in numbers, and what "better" means.

use serde::Serialize;

use super::arrivals::Runs;
use super::keeper::{Fixed, Keeper, Tuned};
use super::world::{Came, Held, run};
use crate::tune::Bounds;

/// How long a fixed pool is kept after its last run, in seconds: five minutes, as ours at most.
const FIXED_KEEP_S: u64 = 300;

/// How a keeper did: means over the seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PoolScore {
    /// Who.
    pub keeper: String,
    /// Runs.
    pub runs: f64,
    /// Of them in percent: found a place ready.
    pub ready_percent: f64,
    /// Were forked when they came.
    pub forked_percent: f64,
    /// Started their own interpreter.
    pub cold_percent: f64,
    /// Memory held in the mean of time, in MiB.
    pub mib: f64,
    /// The most memory held, in MiB, of all seeds.
    pub most_mib: f64,
    /// How often a depth changed, a pool and hour; 0 where it never does.
    pub changes: f64,
}

/// The loads to be compared on, one for each seed, and their length in seconds.
pub type Loads = (Vec<Vec<Runs>>, u32);

/// A pool of this depth for everyone.
#[must_use]
pub fn of_fixed(loads: &Loads, depth: u32) -> PoolScore {
    let one = |load: &Vec<Runs>| PoolScore::of(&run(load, loads.1, &mut Fixed::new(depth, FIXED_KEEP_S)), 0);
    PoolScore::mean(format!("fixed {depth}"), loads.0.iter().map(one).collect())
}

/// Our tuner.
#[must_use]
pub fn of_tuned(loads: &Loads, bounds: &Bounds) -> PoolScore {
    let one = |load: &Vec<Runs>| {
        let mut tuned = Tuned::new(bounds.clone());
        let held = run(load, loads.1, &mut tuned as &mut dyn Keeper);
        PoolScore::of(&held, tuned.changes)
    };
    PoolScore::mean("tuned".to_owned(), loads.0.iter().map(one).collect())
}

/// Whether one is better than another: more ready with no more memory, or less memory with no fewer ready.
///
/// Shares are compared to a hundredth of a percent, memory to a tenth of a MiB: what is closer is called equal.
#[must_use]
pub fn better(one: &PoolScore, other: &PoolScore) -> bool {
    let (ready, mib) = (|s: &PoolScore| (s.ready_percent * 100.0).round(), |s: &PoolScore| (s.mib * 10.0).round());
    (ready(one) > ready(other) && mib(one) <= mib(other)) || (mib(one) < mib(other) && ready(one) >= ready(other))
}

impl PoolScore {
    fn of(held: &Held, changes: u32) -> Self {
        let sum = |of: fn(&Came) -> f64| held.pools.values().map(of).sum::<f64>();
        let runs = sum(|pool| pool.ready + pool.forked + pool.cold);
        let percent = |count: f64| if runs > 0.0 { 100.0 * count / runs } else { 0.0 };
        Self {
            keeper: String::new(),
            runs,
            ready_percent: percent(sum(|pool| pool.ready)),
            forked_percent: percent(sum(|pool| pool.forked)),
            cold_percent: percent(sum(|pool| pool.cold)),
            mib: sum(|pool| pool.held_mib_s) / held.seconds.max(1.0),
            most_mib: held.most_mib,
            changes: f64::from(changes) * 3600.0 / held.seconds.max(1.0) / held.pools.len().max(1) as f64,
        }
    }

    fn mean(keeper: String, scores: Vec<Self>) -> Self {
        let mean = |value: fn(&Self) -> f64| scores.iter().map(value).sum::<f64>() / scores.len().max(1) as f64;
        Self {
            keeper,
            runs: mean(|s| s.runs),
            ready_percent: mean(|s| s.ready_percent),
            forked_percent: mean(|s| s.forked_percent),
            cold_percent: mean(|s| s.cold_percent),
            mib: mean(|s| s.mib),
            most_mib: scores.iter().map(|s| s.most_mib).fold(0.0, f64::max),
            changes: mean(|s| s.changes),
        }
    }
}
