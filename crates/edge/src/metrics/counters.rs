//! The counters of one app.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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

/// Counts of one app's requests.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// By the first digit of the status, from 1 on.
    pub(super) by_class: [AtomicU64; 5],
    pub(super) bytes: AtomicU64,
    pub(super) duration_us: AtomicU64,
    /// Requests in each bucket alone; the last is for those slower than all bounds.
    pub(super) by_duration: [AtomicU64; BUCKETS.len() + 1],
}

impl Counters {
    /// Counts a request that was answered with so many bytes in so long.
    pub(crate) fn count(&self, status: u16, bytes: u64, duration: Duration) {
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let class = usize::from((status / 100).clamp(1, 5) - 1);
        let bucket = BUCKETS.partition_point(|(bound, _)| *bound < duration_us);
        add(self.by_class.get(class), 1);
        add(self.by_duration.get(bucket), 1);
        add(Some(&self.bytes), bytes);
        add(Some(&self.duration_us), duration_us);
    }
}

fn add(counter: Option<&AtomicU64>, by: u64) {
    if let Some(counter) = counter {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}
