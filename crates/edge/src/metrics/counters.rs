//! The counters of one app.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::shard;

/// Upper bounds of the latency buckets in microseconds, with their labels in seconds.
pub(super) const BUCKETS: [(u64, &str); 13] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
];

/// Counts of one app's requests, in shares, so that threads that serve the same app do not wait for each other.
#[derive(Debug)]
pub(crate) struct Counters(Box<[Share]>);

/// What one thread counted. Two shares never lie in one line of a processor's cache.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Share {
    /// By the first digit of the status, from 1 on.
    by_class: [AtomicU64; CLASSES],
    bytes: AtomicU64,
    duration_us: AtomicU64,
    /// Requests in each bucket alone; the last is for those slower than all bounds.
    by_duration: [AtomicU64; BUCKETS.len() + 1],
}

/// Statuses have one of these many first digits.
const CLASSES: usize = 5;

/// The counts of all threads together.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) by_class: [u64; CLASSES],
    pub(super) bytes: u64,
    pub(super) duration_us: u64,
    pub(super) by_duration: [u64; BUCKETS.len() + 1],
}

impl Default for Counters {
    fn default() -> Self {
        Self((0..shard::count()).map(|_| Share::default()).collect())
    }
}

impl Counters {
    /// Counts a request that was answered with so many bytes in so long.
    pub(crate) fn count(&self, status: u16, bytes: u64, duration: Duration) {
        let Some(share) = self.0.get(shard::own()) else { return };
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let class = usize::from((status / 100).clamp(1, 5) - 1);
        let bucket = BUCKETS.iter().position(|(bound, _)| duration_us <= *bound).unwrap_or(BUCKETS.len());
        add(share.by_class.get(class), 1);
        add(share.by_duration.get(bucket), 1);
        add(Some(&share.bytes), bytes);
        add(Some(&share.duration_us), duration_us);
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for share in &self.0 {
            totals.bytes += get(&share.bytes);
            totals.duration_us += get(&share.duration_us);
            totals.by_class.iter_mut().zip(&share.by_class).for_each(|(total, count)| *total += get(count));
            totals.by_duration.iter_mut().zip(&share.by_duration).for_each(|(total, count)| *total += get(count));
        }
        totals
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add(counter: Option<&AtomicU64>, by: u64) {
    if let Some(counter) = counter {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}
