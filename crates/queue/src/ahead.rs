//! How many runs a worker takes beyond those that it runs: pure.

use std::time::Duration;

/// For how long what was taken ahead is to last: longer than taking more takes, and shorter than anybody minds.
const LASTS: Duration = Duration::from_millis(100);
/// At most.
const AHEAD_MAX: usize = 64;
/// What a new time counts beside those before it.
const NEW_COUNTS: f64 = 0.1;

/// How long runs take here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Of one run, in seconds; `None` before the first has ended.
    takes_s: Option<f64>,
}

impl Pace {
    /// One more has ended.
    pub(crate) fn ended(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        self.takes_s = Some(self.takes_s.map_or(took, |before| before + NEW_COUNTS * (took - before)));
    }

    /// How many are to wait beside `at_once` that run. None where they take long: another worker may be free.
    pub(crate) fn ahead(self, at_once: usize) -> usize {
        let Some(takes_s) = self.takes_s else { return 0 };
        let ends_in_time = at_once as f64 * LASTS.as_secs_f64() / takes_s.max(1e-6);
        // As many as fit; a fraction saturates downwards, a huge number upwards.
        (ends_in_time as usize).min(AHEAD_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_fast_takes_ahead_and_who_is_slow_leaves_them_to_others() {
        let mut pace = Pace::default();
        assert_eq!(pace.ahead(4), 0, "nothing is known yet");
        pace.ended(Duration::from_millis(10));
        assert_eq!(pace.ahead(4), 40);
        for _ in 0..100 {
            pace.ended(Duration::from_secs(10));
        }
        assert_eq!(pace.ahead(4), 0);
        for _ in 0..200 {
            pace.ended(Duration::ZERO);
        }
        assert_eq!(pace.ahead(4), AHEAD_MAX);
    }
}
