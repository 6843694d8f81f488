//! Random numbers from a seed (SplitMix64): few lines, no dependency.

/// A source of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to but not 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with mean 1: the time to the next of events that do not know each other.
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Normal with mean 0 and deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (self.unit() * std::f64::consts::TAU).cos()
    }

    /// Log-normal with this median, and this deviation of its logarithm.
    pub(crate) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (self.normal() * sigma).exp()
    }

    /// Burr of type XII.
    pub(crate) fn burr(&mut self, c: f64, k: f64, scale: f64) -> f64 {
        scale * ((1.0 - self.unit()).powf(-1.0 / k) - 1.0).powf(1.0 / c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The median of many, drawn.
    fn median(mut draw: impl FnMut(&mut Random) -> f64) -> f64 {
        let mut random = Random::new(1);
        let mut drawn: Vec<f64> = (0..20_001).map(|_| draw(&mut random)).collect();
        drawn.sort_by(f64::total_cmp);
        drawn[10_000]
    }

    #[test]
    fn medians_are_what_the_distributions_have() {
        assert!(median(Random::normal).abs() < 0.02);
        assert!((median(|random| random.log_normal(0.684, 2.36)) / 0.684 - 1.0).abs() < 0.05);
        // λ·(2^(1/k) − 1)^(1/c), of the traces' memory in MB: half of the apps have 170 or less at most, and about this in the mean.
        let burr = 107.083 * (2.0_f64.powf(1.0 / 0.221) - 1.0).powf(1.0 / 11.652);
        assert!((median(|random| random.burr(11.652, 0.221, 107.083)) / burr - 1.0).abs() < 0.02, "{burr}");
    }
}
