//! Whether a target that owes answers gives none: what a process that was stopped, or hangs, looks like from outside, since its connections
//! are still accepted.
//!
//! ```text
//!  answers ──asked, and for long nothing, while others answer──▶ silent: asked nothing new ──an answer, or its time is over──▶ answers
//! ```
//!
//! A suspicion costs little: it ends with the first answer, also with one that whoever runs the group asked for to find out
//! ([`crate::Group::heard`]), and one that was wrong makes the next wait twice as long.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::settings::{Ejection, nanos};

/// An answer is noted no more often than this, in nanoseconds: a write takes the line from everybody.
const NOTED_EVERY: u64 = 5_000_000;
/// How often a suspicion that was wrong doubles the next wait, at most.
const WRONG_MAX: u32 = 6;

/// What is known of one target. Times are nanoseconds of the group's time.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// Requests of which all was sent and nothing of an answer has come.
    owed: AtomicU32,
    /// When it was first asked of those.
    asked_at: AtomicU64,
    answered_at: AtomicU64,
    /// It need not be looked at before.
    look_at: AtomicU64,
    /// Suspicions since its last answer that were wrong.
    wrong: AtomicU32,
    /// Whether it is left alone for its silence.
    is_silent: AtomicBool,
    /// How often it was since its last answer.
    times: AtomicU32,
}

impl Silence {
    /// It was sent a whole request.
    pub(crate) fn ask(&self, at: u64) {
        if self.owed.fetch_add(1, Ordering::Relaxed) == 0 {
            self.asked_at.store(at, Ordering::Relaxed);
        }
    }

    /// What was waited for of one request is here, or is waited for no more.
    pub(crate) fn settle(&self) {
        self.owed.fetch_sub(1, Ordering::Relaxed);
    }

    /// It has answered something. `true` where that ends its being left alone.
    pub(crate) fn answer(&self, at: u64) -> bool {
        if at.saturating_sub(self.answered_at.load(Ordering::Relaxed)) >= NOTED_EVERY {
            self.answered_at.store(at, Ordering::Relaxed);
        }
        if self.wrong.load(Ordering::Relaxed) != 0 {
            self.wrong.store(0, Ordering::Relaxed);
        }
        self.is_silent.load(Ordering::Relaxed)
    }

    /// Since when it says nothing though it was asked; `None` where it owes nothing, or need not be looked at.
    pub(crate) fn since(&self, at: u64, rules: &Ejection) -> Option<u64> {
        if self.owed.load(Ordering::Relaxed) == 0 || at < self.look_at.load(Ordering::Relaxed) {
            return None;
        }
        let since = self.asked_at.load(Ordering::Relaxed).max(self.answered_at.load(Ordering::Relaxed));
        (at.saturating_sub(since) >= nanos(rules.silent_after)).then_some(since)
    }

    pub(crate) fn has_answered_since(&self, since: u64) -> bool {
        self.answered_at.load(Ordering::Relaxed) > since
    }

    /// How long it may be silent whose answers take `usual` nanoseconds.
    pub(crate) fn bound(&self, usual: f32, rules: &Ejection) -> u64 {
        let usual = Duration::from_nanos(usual as u64).saturating_mul(rules.silent_factor);
        let wrong = self.wrong.load(Ordering::Relaxed).min(WRONG_MAX);
        nanos(rules.silent_after.max(usual)).saturating_mul(1 << wrong)
    }

    pub(crate) fn look_again_at(&self, at: u64) {
        self.look_at.store(at, Ordering::Relaxed);
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self) {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.is_silent.store(true, Ordering::Relaxed);
    }

    /// Its time is over, and it is tried again.
    pub(crate) fn pause(&self) {
        self.is_silent.store(false, Ordering::Relaxed);
    }

    /// It has answered. How often it was left alone, where it was until now.
    pub(crate) fn end(&self) -> Option<u32> {
        let was_silent = self.is_silent.swap(false, Ordering::Relaxed);
        was_silent.then(|| self.times.swap(0, Ordering::Relaxed))
    }

    pub(crate) fn was_wrong(&self) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn silent_since(silence: &Silence, at: u64) -> Option<u64> {
        silence.since(at, &Ejection::default())
    }

    #[test]
    fn only_who_was_asked_and_says_nothing_for_long_is_silent() {
        let silence = Silence::default();
        assert_eq!(silent_since(&silence, 10_000 * MS), None, "nobody asked");
        silence.ask(10_000 * MS);
        assert_eq!(silent_since(&silence, 10_499 * MS), None);
        assert_eq!(silent_since(&silence, 10_500 * MS), Some(10_000 * MS));
        silence.ask(10_400 * MS);
        silence.answer(10_450 * MS);
        silence.settle();
        assert_eq!(silent_since(&silence, 10_940 * MS), None, "it has answered another");
        assert_eq!(silent_since(&silence, 10_960 * MS), Some(10_450 * MS));
        silence.settle();
        assert_eq!(silent_since(&silence, 20_000 * MS), None, "it owes nothing");
    }

    #[test]
    fn who_is_slow_as_a_rule_has_longer_and_each_wrong_suspicion_doubles_it() {
        let (silence, rules) = (Silence::default(), Ejection::default());
        let bound_ms = |usual_ms: u64| silence.bound((usual_ms * MS) as f32, &rules) / MS;
        assert_eq!((bound_ms(1), bound_ms(100), bound_ms(2000)), (500, 500, 6000));
        let mut bounds = Vec::new();
        for _ in 0..8 {
            silence.was_wrong();
            bounds.push(bound_ms(1));
        }
        assert_eq!(bounds, [1000, 2000, 4000, 8000, 16_000, 32_000, 32_000, 32_000]);
        silence.answer(1);
        assert_eq!(bound_ms(1), 500);
    }
}
