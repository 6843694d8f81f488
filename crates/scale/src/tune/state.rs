//! What is remembered from tick to tick.
//!
//! Its clock is its own: it goes on by what the caller's did, never back, and by a minute a tick at most.

use std::collections::BTreeMap;

use super::bounds::Bounds;
use super::pool::Pool;
use super::seen::{Observed, Seen, sane};

/// The longest a tick counts for.
const TICK_MS_MAX: u64 = 60_000;

/// What is remembered from tick to tick.
#[derive(Clone, Debug, Default)]
pub struct State {
    caller_ms: Option<u64>,
    pub(super) clock_ms: u64,
    pub(super) pools: BTreeMap<String, Pool>,
    pub(super) concurrency: Option<u32>,
    pub(super) backlog_target: Option<f64>,
}

impl State {
    /// Moves the clock on and takes in what was seen.
    pub(super) fn take_in(&mut self, seen: &Observed, bounds: &Bounds) {
        let tick_ms = self.caller_ms.map_or(0, |last| seen.now_ms.saturating_sub(last)).min(TICK_MS_MAX);
        self.caller_ms = Some(seen.now_ms);
        self.clock_ms = self.clock_ms.saturating_add(tick_ms);
        for (name, seen) in &seen.pools {
            if !self.pools.contains_key(name) && is_used(seen) {
                self.pools.insert(name.clone(), Pool::new(self.clock_ms, bounds));
            }
        }
        for (name, pool) in &mut self.pools {
            match seen.pools.get(name) {
                Some(seen) => pool.take_in(seen, self.clock_ms, tick_ms, bounds),
                None => pool.not_seen(tick_ms),
            }
        }
    }
}

/// There is no pool before its first run.
fn is_used(seen: &Seen) -> bool {
    seen.arrivals.and_then(sane).is_some_and(|arrivals| arrivals > 0.0)
}
