//! What goes through a group, counted since it was made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shared by a group and its targets. Aligned, so that it shares no cache line with what is only read.
#[repr(align(128))]
pub(crate) struct Traffic {
    origin: Instant,
    level: Level,
    arrived: AtomicU64,
    ended: AtomicU64,
    busy_us: AtomicU64,
    held: Mutex<Held>,
}

/// Counts of what went through a group. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Requests that asked for a target, each once however often it was tried.
    pub arrived: u64,
    /// How often a request at a target has ended.
    pub ended: u64,
    /// How long those that have ended took, in all, in microseconds.
    pub busy_us: u64,
    /// How long targets had requests, in all, in microseconds: those that they have, too. What is added to it in a time, by the
    /// length of that time, is how many were in flight in the mean.
    pub held_us: u64,
}

/// What was read of the level, and what it came to.
#[derive(Default)]
struct Held {
    level_us: u64,
    total_us: u64,
}

/// How many requests are in flight, below, and the times at which they ended less those at which they began, above, in one word: of
/// both together the time that they were in flight, up to any moment, can be told without looking at each. The times go round, so
/// only what was added since a reading not long before is meant.
#[derive(Default)]
struct Level(AtomicU64);

/// Bits of the count: a million requests at once.
const COUNT_BITS: u32 = 20;
/// Bits of the time that goes round: 203 days of one request, 17 s of a million.
const TIME_BITS: u32 = u64::BITS - COUNT_BITS;

impl Level {
    fn begin(&self, us: u64) {
        self.0.fetch_add((us << COUNT_BITS).wrapping_neg().wrapping_add(1), Ordering::Relaxed);
    }

    fn end(&self, us: u64) {
        self.0.fetch_add((us << COUNT_BITS).wrapping_sub(1), Ordering::Relaxed);
    }

    /// The time that requests were in flight, up to `us`.
    fn at(&self, us: u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        let (count, times) = (word & ((1 << COUNT_BITS) - 1), word >> COUNT_BITS);
        times.wrapping_add(count.wrapping_mul(us)) & ((1 << TIME_BITS) - 1)
    }
}

impl Traffic {
    /// `now` is where its time begins.
    pub(crate) fn new(now: Instant) -> Self {
        let (level, held) = (Level::default(), Mutex::default());
        let (arrived, ended, busy_us) = Default::default();
        Self { origin: now, level, arrived, ended, busy_us, held }
    }

    pub(crate) fn arrive(&self) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn begin(&self, now: Instant) {
        self.level.begin(self.since_origin(now));
    }

    /// One that began at `began` has ended.
    pub(crate) fn end(&self, began: Instant, now: Instant) {
        self.level.end(self.since_origin(now));
        self.busy_us.fetch_add(micros(now.saturating_duration_since(began)), Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn passed(&self, now: Instant) -> Passed {
        // What has ended is read first: it took its time by then.
        let ended = self.ended.load(Ordering::Acquire);
        let (busy_us, arrived) = (self.busy_us.load(Ordering::Relaxed), self.arrived.load(Ordering::Relaxed));
        Passed { arrived, ended, busy_us, held_us: self.held_until(now) }
    }

    fn held_until(&self, now: Instant) -> u64 {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let level_us = self.level.at(self.since_origin(now));
        let added = level_us.wrapping_sub(held.level_us) & ((1 << TIME_BITS) - 1);
        // Below zero: somebody began a moment after `now`. It is counted the next time.
        if added < 1 << (TIME_BITS - 1) {
            (held.level_us, held.total_us) = (level_us, held.total_us.saturating_add(added));
        }
        held.total_us
    }

    fn since_origin(&self, now: Instant) -> u64 {
        micros(now.saturating_duration_since(self.origin))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_flight_is_counted_while_it_goes_on_and_not_twice_at_its_end() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let traffic = Traffic::new(began);
        traffic.begin(at(100));
        traffic.begin(at(600));
        assert_eq!(traffic.passed(at(1000)).held_us, 1_300_000);
        traffic.end(at(100), at(1500));
        assert_eq!(traffic.passed(at(2000)).held_us, 1_300_000 + 1_500_000);
        traffic.end(at(600), at(2000));
        let passed = traffic.passed(at(9000));
        assert_eq!((passed.held_us, passed.busy_us, passed.ended), (2_800_000, 2_800_000, 2));
    }

    #[test]
    fn what_falls_between_two_readings_is_seen_and_what_is_over_by_then_too() {
        let began = Instant::now();
        let at = |us| began + Duration::from_micros(us);
        let traffic = Traffic::new(began);
        for second in 0..1000_u64 {
            // Nothing is in flight at any reading, and half a second of ten at a time was.
            let from = second * 1_000_000 + 250_000;
            (0..10).for_each(|_| traffic.begin(at(from)));
            (0..10).for_each(|_| traffic.end(at(from), at(from + 500_000)));
            assert_eq!(traffic.passed(at((second + 1) * 1_000_000)).held_us, (second + 1) * 5_000_000);
        }
    }

    #[test]
    fn the_time_goes_round_without_being_noticed() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let traffic = Traffic::new(began);
        // Ten thousand that never end: the word goes round within half an hour.
        (0..10_000).for_each(|_| traffic.begin(began));
        for second in 1..10_000 {
            assert_eq!(traffic.passed(at(second)).held_us, second * 10_000 * 1_000_000);
        }
    }

    #[test]
    fn who_began_a_moment_after_the_reading_is_counted_at_the_next() {
        let began = Instant::now();
        let at = |us| began + Duration::from_micros(us);
        let traffic = Traffic::new(began);
        traffic.begin(at(11));
        assert_eq!(traffic.passed(at(10)).held_us, 0);
        assert_eq!(traffic.passed(at(21)).held_us, 10);
    }
}
