//! Who says how deep the pools are: always the same depth, or our own tuner.

use std::collections::BTreeMap;

use crate::tune::{Bounds, Observed, Seen, State, Tuning, tune};

/// Says how deep the pools are.
pub trait Keeper {
    /// Asked every second, with what was seen in it.
    fn tick(&mut self, seen: Observed);
    /// Places of this pool that should wait; 0 where there should be no pool.
    fn depth(&self, pool: &str) -> u32;
    /// Places that a pool has which its first run starts; 0 where that may not start one.
    fn depth_at_start(&self, pool: &str, bytes: f64) -> u32;
}

/// Always the same depth; a pool goes after so many seconds without a run.
#[derive(Debug)]
pub struct Fixed {
    depth: u32,
    keep_s: u64,
    seconds: u64,
    /// When each pool was last used.
    used: BTreeMap<String, u64>,
}

impl Fixed {
    /// Of this depth.
    #[must_use]
    pub fn new(depth: u32, keep_s: u64) -> Self {
        Self { depth, keep_s, seconds: 0, used: BTreeMap::new() }
    }
}

impl Keeper for Fixed {
    fn tick(&mut self, seen: Observed) {
        self.seconds += 1;
        for (name, Seen { arrivals, .. }) in seen.pools {
            if arrivals.is_some_and(|arrivals| arrivals > 0.0) {
                self.used.insert(name, self.seconds);
            }
        }
    }

    fn depth(&self, pool: &str) -> u32 {
        let used = self.used.get(pool).is_some_and(|used| self.seconds - used < self.keep_s);
        if used { self.depth } else { 0 }
    }

    fn depth_at_start(&self, _: &str, _: f64) -> u32 {
        self.depth
    }
}

/// Our own tuner.
#[derive(Debug)]
pub struct Tuned {
    bounds: Bounds,
    state: State,
    /// What it said last.
    pub tuning: Tuning,
    /// How often a depth changed.
    pub changes: u32,
}

impl Tuned {
    /// Within these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let tuning = Tuning { room_bytes: bounds.memory_bytes as u64, ..Tuning::default() };
        Self { bounds, state: State::default(), tuning, changes: 0 }
    }
}

impl Keeper for Tuned {
    fn tick(&mut self, seen: Observed) {
        let (tuning, state) = tune(&seen, &self.state, &self.bounds);
        let depths = |tuning: &Tuning| -> Vec<u32> { tuning.pools.values().map(|pool| pool.depth.value).collect() };
        let (before, after) = (depths(&self.tuning), depths(&tuning));
        self.changes += before.iter().zip(&after).filter(|(before, after)| before != after).count() as u32;
        (self.tuning, self.state) = (tuning, state);
    }

    fn depth(&self, pool: &str) -> u32 {
        self.tuning.pools.get(pool).map_or(0, |pool| pool.depth.value)
    }

    fn depth_at_start(&self, pool: &str, bytes: f64) -> u32 {
        let starts = self.tuning.pools.get(pool).is_none_or(|pool| pool.starts);
        u32::from(starts && bytes <= self.tuning.room_bytes as f64)
    }
}
