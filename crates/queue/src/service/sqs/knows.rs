//! What a queue that cannot be asked is thought to know.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skylift_model::RunId;

use crate::service::Notice;

/// How long a run that was announced may wait before it is announced again, at most.
const LAST: Duration = Duration::from_secs(3600);
/// More are not thought of: who is not, is looked at anew.
const RUNS_MAX: usize = if cfg!(test) { 1000 } else { 100_000 };

/// When each run that waits is to be announced again.
#[derive(Debug)]
pub(super) struct Knows {
    runs: Mutex<HashMap<RunId, Due>>,
    /// How long one that was announced may wait at first.
    first: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    /// How long that is after it was announced last.
    wait: Duration,
    /// When it was last among those that wait, or announced.
    seen: Instant,
}

impl Knows {
    pub(super) fn new(first: Duration) -> Self {
        Self { runs: Mutex::default(), first }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Due>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue has taken them.
    pub(super) fn announced(&self, notices: &[Notice]) {
        self.announced_at(notices, Instant::now());
    }

    /// It has not, or not all of them: they are due at once.
    pub(super) fn not_announced(&self, notices: &[Notice]) {
        let (mut runs, now) = (self.runs(), Instant::now());
        for notice in notices {
            runs.insert(notice.id.clone(), Due { at: now, wait: self.first / 2, seen: now });
        }
    }

    /// Those that have waited for too long.
    pub(super) fn overdue(&self, waiting: &[Notice]) -> Vec<Notice> {
        self.overdue_at(waiting, Instant::now())
    }

    fn announced_at(&self, notices: &[Notice], now: Instant) {
        let mut runs = self.runs();
        self.forget_old(&mut runs, now);
        for notice in notices {
            let due = runs.entry(notice.id.clone()).or_insert(Due { at: now, wait: self.first / 2, seen: now });
            due.wait = (due.wait * 2).min(LAST);
            (due.at, due.seen) = (now + due.wait + notice.after, now);
        }
    }

    fn overdue_at(&self, waiting: &[Notice], now: Instant) -> Vec<Notice> {
        let mut runs = self.runs();
        self.forget_old(&mut runs, now);
        let is_due = |notice: &&Notice| {
            let at = now + self.first + notice.after;
            let due = runs.entry(notice.id.clone()).or_insert(Due { at, wait: self.first / 2, seen: now });
            due.seen = now;
            due.at <= now && notice.after.is_zero()
        };
        waiting.iter().filter(is_due).cloned().collect()
    }

    /// Those that have not been among those that wait for long do not any more.
    fn forget_old(&self, runs: &mut HashMap<RunId, Due>, now: Instant) {
        if runs.len() >= RUNS_MAX {
            runs.retain(|_, due| due.seen + self.first > now);
        }
        if runs.len() >= RUNS_MAX {
            runs.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;

    use super::*;

    const FIRST: Duration = Duration::from_secs(60);

    #[test]
    fn what_waits_for_too_long_is_announced_again_and_ever_more_seldom() {
        let (knows, began) = (Knows::new(FIRST), Instant::now());
        let notice =
            |number| Notice { id: RunId::new(Timestamp::from_millis(1), number), priority: 0, after: Duration::ZERO };
        let (ours, strange) = ([notice(1)], [notice(2)]);
        knows.announced_at(&ours, began);
        let mut again = Vec::new();
        for second in 0..1000 {
            let now = began + Duration::from_secs(second);
            for _ in knows.overdue_at(&ours, now) {
                knows.announced_at(&ours, now);
                again.push(second);
            }
        }
        assert_eq!(again, [60, 180, 420, 900]);
        let now = began + Duration::from_secs(1000);
        assert!(knows.overdue_at(&strange, now).is_empty(), "another process may just have announced it");
        assert_eq!(knows.overdue_at(&strange, now + FIRST), strange);
        knows.not_announced(&[notice(3)]);
        assert_eq!(knows.overdue(&[notice(3)]).len(), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (knows, began) = (Knows::new(FIRST), Instant::now());
        let many = |from: u64| -> Vec<Notice> {
            (from..from + 300)
                .map(|number| Notice {
                    id: RunId::new(Timestamp::from_millis(1), number),
                    priority: 0,
                    after: Duration::ZERO,
                })
                .collect()
        };
        for from in 0..5 {
            knows.announced_at(&many(from * 300), began);
        }
        assert!(knows.runs().len() <= RUNS_MAX + 300);
    }
}
