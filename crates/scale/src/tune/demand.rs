//! How many places would have had to be ready, so that each arrival had found one.
//!
//! Places are made one after another. Of a pool that is deep enough, as many are missing when a run arrives as its refiller is behind;
//! so the need of a run is one more than that, however deep the pool really is.

use serde::{Deserialize, Serialize};

/// Needs that are told apart; whatever is more counts as the last.
pub const NEEDS: usize = 64;

/// Follows one pool's arrivals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// When a refiller that had to make up for every arrival would be done, in seconds.
    done_s: f64,
}

impl Demand {
    /// Places that would have had to be ready for a run that arrives now, itself included; `now_s` and `refill_s` in seconds.
    pub fn arrive(&mut self, now_s: f64, refill_s: f64) -> u32 {
        if !now_s.is_finite() {
            return 1;
        }
        let refill_s = if refill_s.is_finite() { refill_s.max(1e-6) } else { 1e-6 };
        // The bound is for a clock that goes back, and for what no pool can hold.
        let behind_s = (self.done_s - now_s).clamp(0.0, refill_s * (NEEDS - 1) as f64);
        self.done_s = now_s + behind_s + refill_s;
        // A refiller that is done this very moment is done.
        ((behind_s / refill_s - 1e-6).ceil().max(0.0) as u32 + 1).min(NEEDS as u32)
    }
}

/// How many arrivals had which need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Needs(Vec<f64>);

impl Needs {
    /// Counts one arrival.
    pub fn count(&mut self, need: u32) {
        self.add(need, 1.0);
    }

    fn add(&mut self, need: u32, count: f64) {
        let index = (need.max(1) as usize).min(NEEDS) - 1;
        if self.0.len() <= index {
            self.0.resize(index + 1, 0.0);
        }
        if let Some(slot) = self.0.get_mut(index) {
            *slot += count;
        }
    }

    /// Adds what may be believed of others.
    pub(super) fn take_in(&mut self, other: &Self) {
        for (need, count) in (1..).zip(other.0.iter().take(NEEDS)) {
            if let Some(count) = super::seen::sane(*count).filter(|count| *count > 0.0) {
                self.add(need, count);
            }
        }
    }

    /// Lets what is old count less.
    pub(super) fn fade(&mut self, factor: f64) {
        self.0.iter_mut().for_each(|count| *count *= factor);
    }

    /// How many there are.
    pub(super) fn total(&self) -> f64 {
        self.0.iter().sum()
    }

    /// Share of arrivals that need more than `depth`.
    pub(super) fn above(&self, depth: u32) -> f64 {
        let total = self.total();
        let above: f64 = self.0.iter().skip(depth as usize).sum();
        if total > 0.0 { above / total } else { 0.0 }
    }

    /// Share of arrivals that need exactly `depth`.
    pub(super) fn exactly(&self, depth: u32) -> f64 {
        self.above(depth.saturating_sub(1)) - self.above(depth)
    }

    /// The least depth that at most this share of arrivals needs more than.
    pub(super) fn depth_for(&self, missed: f64) -> u32 {
        (0..NEEDS as u32).find(|depth| self.above(*depth) <= missed).unwrap_or(NEEDS as u32)
    }

    /// The largest need.
    pub(super) fn most(&self) -> u32 {
        self.0.iter().rposition(|count| *count > 0.0).map_or(0, |index| index as u32 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_need_is_what_is_missing_and_one() {
        let mut demand = Demand::default();
        let needs: Vec<u32> = [0.0, 0.0, 0.0, 0.015, 0.5, 0.51].map(|at| demand.arrive(10.0 + at, 0.010)).to_vec();
        assert_eq!(needs, [1, 2, 3, 3, 1, 1], "after 15 ms one and a half are made; after 500 all");
    }

    #[test]
    fn a_clock_that_goes_back_costs_no_more_than_the_most_that_is_counted() {
        let mut demand = Demand::default();
        demand.arrive(1e9, 0.01);
        assert_eq!(demand.arrive(0.0, 0.01), NEEDS as u32);
        assert_eq!(demand.arrive(1.0, 0.01), 1, "it is over after 64 refills");
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(demand.arrive(odd, 0.01), 1);
            assert!((1..=NEEDS as u32).contains(&demand.arrive(2.0, odd)));
        }
    }

    #[test]
    fn the_depth_is_the_least_that_misses_no_more_than_it_may() {
        let mut needs = Needs::default();
        for (need, count) in [(1, 90), (2, 9), (5, 1)] {
            (0..count).for_each(|_| needs.count(need));
        }
        assert_eq!([0.5, 0.1, 0.05, 0.01, 0.0].map(|missed| needs.depth_for(missed)), [1, 1, 2, 2, 5]);
        assert_eq!((needs.most(), needs.depth_for(1.0), Needs::default().depth_for(0.0)), (5, 0, 0));
    }
}
