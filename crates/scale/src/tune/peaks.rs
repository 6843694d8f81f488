//! How much memory runs used at most: counts by size, each size a twelfth of an octave wide, so that a percentile is at most 6 % too high.

/// The smallest size that is told apart, and how many sizes double it.
const LEAST_BYTES: f64 = 65_536.0;
const PER_OCTAVE: f64 = 12.0;
/// 64 KiB to 64 GiB.
const SIZES: usize = 240;
/// Older ones count less once there are so many.
const COUNT_MAX: f64 = 10_000.0;

/// Sizes that were seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Peaks {
    counts: Vec<f64>,
    count: f64,
}

impl Peaks {
    /// Counts one run's.
    pub(super) fn add(&mut self, bytes: f64) {
        if self.count >= COUNT_MAX {
            self.counts.iter_mut().for_each(|count| *count /= 2.0);
            self.count /= 2.0;
        }
        let size = ((bytes / LEAST_BYTES).max(1.0).log2() * PER_OCTAVE).ceil() as usize;
        let size = size.min(SIZES - 1);
        if self.counts.len() <= size {
            self.counts.resize(size + 1, 0.0);
        }
        if let Some(count) = self.counts.get_mut(size) {
            *count += 1.0;
            self.count += 1.0;
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> f64 {
        self.count
    }

    /// What this share is not above, in bytes, rounded up to a size.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let mut sum = 0.0;
        for (size, count) in (0u32..).zip(&self.counts) {
            sum += count;
            if sum >= self.count * share && sum > 0.0 {
                return LEAST_BYTES * (f64::from(size) / PER_OCTAVE).exp2();
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_never_below_what_was_used_and_close_above() {
        let mut peaks = Peaks::default();
        (1..=1000).for_each(|n| peaks.add(f64::from(n) * 1_000_000.0));
        let p99 = peaks.quantile(0.99);
        assert!((990e6..990e6 * 1.06).contains(&p99), "{p99}");
        assert_eq!(Peaks::default().quantile(0.99), 0.0);
    }
}
