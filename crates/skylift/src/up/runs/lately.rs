//! What a worker has done in the last minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use skylift_model::wire::Pace;

/// What is further back does not count.
const LATELY: Duration = Duration::from_secs(60);

/// What it had done at some moments, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Lately(VecDeque<(Instant, u64, u64)>);

impl Lately {
    /// Notes how many runs have ended by now, and how long they took together; what that comes to, lately.
    pub(super) fn note(&mut self, (done, busy_us): (u64, u64), now: Instant) -> Pace {
        self.0.push_back((now, done, busy_us));
        let is_old = |at: &Instant| now.saturating_duration_since(*at) > LATELY;
        while self.0.len() > 2 && self.0.front().is_some_and(|(at, ..)| is_old(at)) {
            self.0.pop_front();
        }
        let Some((since, done_before, busy_before)) = self.0.front() else { return Pace::default() };
        Pace {
            done: done.saturating_sub(*done_before),
            busy_us: busy_us.saturating_sub(*busy_before),
            in_ms: u64::try_from(now.saturating_duration_since(*since).as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_a_minute_old_at_most() {
        let (mut lately, began) = (Lately::default(), Instant::now());
        let mut note = |seconds, done| lately.note((done, done * 500_000), began + Duration::from_secs(seconds));
        assert_eq!(note(0, 0), Pace::default());
        assert_eq!(note(5, 100), Pace { done: 100, busy_us: 50_000_000, in_ms: 5_000 });
        assert_eq!(note(60, 100), Pace { done: 100, busy_us: 50_000_000, in_ms: 60_000 });
        assert_eq!(note(64, 130), Pace { done: 30, busy_us: 15_000_000, in_ms: 59_000 });
        let pace = note(90, 130);
        assert_eq!((pace.per_worker_second(), pace.service_s()), (Some(1.0), Some(0.5)));
    }
}
