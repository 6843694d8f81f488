//! Peak-EWMA: how long a target takes to answer, quick to believe that it is slow, slow to believe that it is fast.
//!
//! A sample above the average replaces it; below, the average falls towards it with the time constant [`TAU`]. Without samples
//! it falls towards zero, so that a target that was slow once is tried again.

use std::sync::atomic::{AtomicU64, Ordering};

/// Nanoseconds in which the average falls to 1/e.
const TAU: f32 = 10e9;
/// Elapsed time below which the average is read as it is, in nanoseconds.
const STILL: f32 = TAU / 64.0;
/// What a target nobody knows anything about is taken for, in nanoseconds.
const UNKNOWN: f32 = 1e6;
/// Binary digits of nanoseconds in one tick: 65.5 µs, so that 32 bits of ticks are 78 hours.
const TICK_BITS: u32 = 16;

/// The average and when it was last touched, in one word: the average's bits above, the tick below.
#[derive(Debug)]
pub(crate) struct Latency(AtomicU64);

impl Latency {
    /// Begins at `nanos`; at 0 it is unknown.
    pub(crate) fn new(nanos: f32, now: u64) -> Self {
        Self(AtomicU64::new(pack(nanos, tick(now))))
    }

    /// Forgets what was and begins again.
    pub(crate) fn restart(&self, nanos: f32, now: u64) {
        self.0.store(pack(nanos, tick(now)), Ordering::Relaxed);
    }

    /// The average at `now`, in nanoseconds; `None` where there was no sample.
    pub(crate) fn known(&self, now: u64) -> Option<f32> {
        let (average, at) = unpack(self.0.load(Ordering::Relaxed));
        (average > 0.0).then(|| average * left_after(elapsed(at, tick(now))))
    }

    /// The average as of the last sample, in nanoseconds; 0 where there was none.
    pub(crate) fn last(&self) -> f32 {
        unpack(self.0.load(Ordering::Relaxed)).0
    }

    /// What a request costs here, in nanoseconds; never zero.
    pub(crate) fn nanos(&self, now: u64) -> f32 {
        self.known(now).unwrap_or(UNKNOWN).max(1.0)
    }

    /// Takes in how long an answer took.
    pub(crate) fn observe(&self, sample: f32, now: u64) {
        self.change(now, |average, left| {
            let falling = average * left + sample * (1.0 - left);
            if average == 0.0 { sample } else { falling.max(sample) }
        });
    }

    /// Takes in that an answer would have taken at least so long.
    pub(crate) fn observe_at_least(&self, sample: f32, now: u64) {
        self.change(now, |average, left| (average * left).max(sample));
    }

    fn change(&self, now: u64, after: impl Fn(f32, f32) -> f32) {
        let now = tick(now);
        let step = |word| {
            let (average, at) = unpack(word);
            let left = exact_left_after(elapsed(at, now));
            // The later of both: a thread that is late must not turn the time back.
            let at = if is_after(at, now) { at } else { now };
            Some(pack(after(average, left).max(f32::MIN_POSITIVE), at))
        };
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
    }
}

fn pack(average: f32, at: u32) -> u64 {
    u64::from(average.to_bits()) << 32 | u64::from(at)
}

fn unpack(word: u64) -> (f32, u32) {
    (f32::from_bits((word >> 32) as u32), word as u32)
}

fn tick(now: u64) -> u32 {
    (now >> TICK_BITS) as u32
}

/// Whether `one` is after `other`, on a clock that goes round.
fn is_after(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) > 0
}

/// Nanoseconds from one tick to another.
fn elapsed(from: u32, to: u32) -> f32 {
    if is_after(from, to) && from.wrapping_sub(to) < 1 << 20 {
        // Another thread was here a moment later.
        return 0.0;
    }
    to.wrapping_sub(from) as f32 * (1_u64 << TICK_BITS) as f32
}

/// What is left of an average; exactness is not worth its time here, it is read for every pick.
fn left_after(elapsed: f32) -> f32 {
    if elapsed < STILL { 1.0 } else { exact_left_after(elapsed) }
}

fn exact_left_after(elapsed: f32) -> f32 {
    (-elapsed / TAU).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_peak_is_believed_at_once_and_forgotten_slowly() {
        let latency = Latency::new(0.0, 0);
        assert_eq!(latency.known(0), None);
        latency.observe(1e6, 0);
        latency.observe(2e9, SECOND);
        assert_eq!(latency.known(SECOND), Some(2e9));
        latency.observe(1e6, 2 * SECOND);
        let after = latency.known(2 * SECOND).unwrap();
        assert!((1.7e9..1.9e9).contains(&after), "{after}");
    }

    #[test]
    fn an_average_nobody_adds_to_falls_to_a_third_in_ten_seconds() {
        let latency = Latency::new(3e6, 0);
        let after = latency.known(10 * SECOND).unwrap();
        assert!((1.0e6..1.2e6).contains(&after), "{after}");
        assert_eq!(latency.nanos(3600 * SECOND), 1.0, "but never to nothing");
    }

    #[test]
    fn many_fast_answers_converge_whatever_their_rate() {
        for gap in [SECOND / 100_000, SECOND / 1000, SECOND] {
            let latency = Latency::new(1e9, 0);
            let mut now = 0;
            while now < 100 * SECOND.min(gap * 1_000_000) {
                now += gap;
                latency.observe(1e6, now);
            }
            let reached = latency.known(now).unwrap();
            let expected = 1e9 * (-(now as f32) / TAU).exp() + 1e6;
            assert!((reached / expected - 1.0).abs() < 0.25, "gap {gap}: {reached}, expected {expected}");
        }
    }

    #[test]
    fn a_late_thread_neither_turns_the_time_back_nor_ages_the_average() {
        let latency = Latency::new(1e6, 10 * SECOND);
        latency.observe(1e3, 10 * SECOND - 1_000_000);
        assert_eq!(latency.known(10 * SECOND), Some(1e6));
    }

    #[test]
    fn who_left_says_only_that_it_is_no_faster() {
        let latency = Latency::new(5e6, 0);
        latency.observe_at_least(1e3, 0);
        assert_eq!(latency.known(0), Some(5e6));
        latency.observe_at_least(9e6, 0);
        assert_eq!(latency.known(0), Some(9e6));
    }
}
