//! How soon what ended by itself is started again, and when that is called a crash loop. Pure.

use std::time::Duration;

use crate::Timestamp;

/// How far back ends count.
pub const ENDS_COUNT_FOR: Duration = Duration::from_secs(600);
/// So many ends within that time are a crash loop.
const LOOPS_FROM: usize = 3;
/// Without an end for so long it is none any more: longer than the longest wait between two starts.
const LOOPS_FOR: Duration = Duration::from_secs(150);
/// What was started after the last end and has been ready for so long ends it before that.
const RECOVERED_AFTER: Duration = Duration::from_secs(30);

/// How long what ends by itself is waited with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first end; twice as long after the next, and so on.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// When the next may be started, after these ends, newest first; `None` where there were none.
    pub fn next_start(self, ends: impl IntoIterator<Item = Timestamp>) -> Option<Timestamp> {
        let mut ends = ends.into_iter();
        let newest = ends.next()?;
        let earlier = u32::try_from(ends.count()).unwrap_or(u32::MAX).min(16);
        Some(newest.plus((self.first * 2_u32.pow(earlier)).min(self.max)))
    }
}

/// Whether these ends, newest first, are a crash loop at `now`, where instances that run have been ready since `ready`.
pub fn is_crash_loop(ends: &[Timestamp], ready: &[Timestamp], now: Timestamp) -> bool {
    let recent = ends.iter().filter(|end| now.since(**end) < ENDS_COUNT_FOR).count();
    let lasts = |newest: &Timestamp| {
        // What was ready before is another one, which never ended.
        let has_recovered = |since: &Timestamp| since > newest && now.since(*since) >= RECOVERED_AFTER;
        now.since(*newest) < LOOPS_FOR && !ready.iter().any(has_recovered)
    };
    recent >= LOOPS_FROM && ends.first().is_some_and(lasts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn each_wait_is_twice_the_one_before_up_to_the_longest() {
        let wait =
            |ends: usize| Backoff::default().next_start(vec![at(0); ends]).map(|next| next.since(at(0)).as_secs());
        assert_eq!([0, 1, 2, 3, 6, 7, 50].map(wait), [None, Some(1), Some(2), Some(4), Some(32), Some(60), Some(60)]);
    }

    #[test]
    fn a_loop_is_several_ends_of_which_the_last_is_not_long_ago() {
        let loops = |ends: &[Timestamp], now| is_crash_loop(ends, &[], now);
        assert!(!loops(&[at(100), at(99)], at(100)), "twice is bad luck");
        let three = [at(100), at(99), at(98)];
        assert!(loops(&three, at(100)) && loops(&three, at(170)), "also while it is waited");
        assert!(!loops(&three, at(300)), "it has lived for long since");
        assert!(!loops(&[at(1000), at(999), at(2)], at(1000)), "what was long ago does not count");
    }

    #[test]
    fn a_loop_is_over_once_what_came_after_the_last_end_has_been_ready_for_a_while() {
        let three = [at(100), at(99), at(98)];
        assert!(is_crash_loop(&three, &[at(105)], at(134)), "it may end again at any moment");
        assert!(!is_crash_loop(&three, &[at(105)], at(135)));
        assert!(is_crash_loop(&three, &[at(20)], at(135)), "the others go on, and one of them still ends");
    }
}
