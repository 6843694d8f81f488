//! How many requests may be sent once more: a share of those that came lately, so that an app in trouble does not get more work for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::settings::Retries;

/// Tokens: each request puts in a part of one, each retry takes a whole one, and after two windows what was put in is gone.
#[derive(Debug)]
pub struct RetryBudget {
    rules: Retries,
    origin: Instant,
    requests: [Window; SLOTS],
    retries: [Window; SLOTS],
}

/// Two that count, and one for a thread that is late.
const SLOTS: usize = 3;

/// The number of a window above, its count in the lower 32 bits.
#[derive(Debug, Default)]
struct Window(AtomicU64);

impl RetryBudget {
    /// `now` is where its time begins.
    pub fn new(rules: Retries, now: Instant) -> Self {
        Self { rules, origin: now, requests: Default::default(), retries: Default::default() }
    }

    /// One more request, not counting what is sent once more.
    pub fn request(&self, now: Instant) {
        let number = self.number(now);
        if let Some(window) = slot(&self.requests, number) {
            window.add(number, u64::from(u32::MAX));
        }
    }

    /// Takes a token; whether there was one.
    pub fn try_retry(&self, now: Instant) -> bool {
        let number = self.number(now);
        let requests = sum(&self.requests, number);
        let allowed = u64::from(self.rules.reserve) + requests * u64::from(self.rules.percent) / 100;
        let before = number.checked_sub(1).map_or(0, |number| count(&self.retries, number));
        let Some(most) = allowed.checked_sub(before) else { return false };
        slot(&self.retries, number).is_some_and(|window| window.add(number, most))
    }

    fn number(&self, now: Instant) -> u64 {
        let window = self.rules.window.as_nanos().max(1);
        u64::try_from(now.saturating_duration_since(self.origin).as_nanos() / window).unwrap_or(u64::MAX)
            & u64::from(u32::MAX)
    }
}

impl Window {
    /// Adds one to the count of that window, if it is below `most`.
    fn add(&self, number: u64, most: u64) -> bool {
        let added = |word: u64| {
            let counted = if word >> 32 == number { word & u64::from(u32::MAX) } else { 0 };
            // A later window is here already; the late one is counted in it.
            let number = number.max(word >> 32);
            (counted < most).then_some(number << 32 | (counted + 1))
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added).is_ok()
    }
}

fn slot(windows: &[Window; SLOTS], number: u64) -> Option<&Window> {
    windows.get(usize::try_from(number).ok()? % SLOTS)
}

fn count(windows: &[Window; SLOTS], number: u64) -> u64 {
    let word = slot(windows, number).map_or(0, |window| window.0.load(Ordering::Relaxed));
    if word >> 32 == number { word & u64::from(u32::MAX) } else { 0 }
}

fn sum(windows: &[Window; SLOTS], number: u64) -> u64 {
    count(windows, number) + number.checked_sub(1).map_or(0, |number| count(windows, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn granted(budget: &RetryBudget, wanted: usize, now: Instant) -> usize {
        (0..wanted).filter(|_| budget.try_retry(now)).count()
    }

    #[test]
    fn a_fifth_of_the_requests_and_the_reserve_may_be_sent_once_more() {
        let now = Instant::now();
        let budget = RetryBudget::new(Retries::default(), now);
        (0..1000).for_each(|_| budget.request(now));
        assert_eq!(granted(&budget, 5000, now), 300);
    }

    #[test]
    fn what_was_put_in_is_gone_after_two_windows() {
        let start = Instant::now();
        let budget = RetryBudget::new(Retries { reserve: 0, ..Retries::default() }, start);
        let after = |seconds| start + Duration::from_secs(seconds);
        (0..1000).for_each(|_| budget.request(start));
        assert_eq!(granted(&budget, 50, after(5)), 50);
        assert_eq!(granted(&budget, 5000, after(15)), 150, "what the window before took is taken");
        assert_eq!(granted(&budget, 5000, after(25)), 0);
        assert_eq!(granted(&budget, 5000, after(1_000_000)), 0);
    }

    #[test]
    fn an_outage_multiplies_the_load_by_little_with_the_budget_and_doubles_it_without() {
        for (percent, reserve, expected) in [(20, 100, 1.25), (100, 0, 2.0)] {
            let start = Instant::now();
            let budget = RetryBudget::new(Retries { percent, reserve, ..Retries::default() }, start);
            let (mut requests, mut retries) = (0_u32, 0_u32);
            for step in 0..100_000_u64 {
                let now = start + Duration::from_millis(step);
                budget.request(now);
                requests += 1;
                retries += u32::from(budget.try_retry(now));
            }
            let times = f64::from(requests + retries) / f64::from(requests);
            assert!((times - expected).abs() < 0.05, "{percent} %: {times}");
        }
    }

    #[test]
    fn many_threads_together_get_no_more_than_there_is() {
        let now = Instant::now();
        let budget = RetryBudget::new(Retries::default(), now);
        let total: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1000).for_each(|_| budget.request(now));
                        granted(&budget, 1000, now)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(total <= 1700, "{total} of 8000 requests");
        assert_eq!(total + granted(&budget, 5000, now), 1700);
    }
}
