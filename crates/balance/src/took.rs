//! How long answers took, by powers of two: a share of slow ones is seen in it, which a mean would hide.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many buckets there are. Bucket `n` counts what took less than 2ⁿ ms and not less than the one before; the last has no end.
pub const TOOK_BUCKETS: usize = 16;

/// Counts of a target. They only grow.
#[derive(Default)]
pub(crate) struct Took([AtomicU64; TOOK_BUCKETS]);

impl Took {
    pub(crate) fn count(&self, took: Duration) {
        if let Some(bucket) = self.0.get(bucket(took)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> [u64; TOOK_BUCKETS] {
        array::from_fn(|at| self.0.get(at).map_or(0, |bucket| bucket.load(Ordering::Relaxed)))
    }
}

fn bucket(took: Duration) -> usize {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let bits = u64::BITS - ms.leading_zeros();
    (bits as usize).min(TOOK_BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_counted_below_the_power_of_two_that_it_is_less_than() {
        let took = Took::default();
        for (ms, at) in [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (1023, 10), (1024, 11), (16_384, 15), (u64::MAX, 15)] {
            let before = took.counts()[at];
            took.count(Duration::from_millis(ms));
            assert_eq!(took.counts()[at], before + 1, "{ms} ms");
        }
        assert_eq!(took.counts().iter().sum::<u64>(), 9);
    }
}
