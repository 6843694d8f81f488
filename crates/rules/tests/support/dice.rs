//! A small source of chance: the same seed gives the same files and requests.

pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }

    pub(crate) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub(crate) fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }
}

/// The seed of this run (`SKYLIFT_SEED`), fixed unless it is given.
pub(crate) fn seed() -> u64 {
    std::env::var("SKYLIFT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7)
}

/// How many cases to run: the small count, or the large one with `SKYLIFT_SOAK=1`.
pub(crate) fn count(small: usize, large: usize) -> usize {
    if std::env::var("SKYLIFT_SOAK").is_ok_and(|soak| soak == "1") { large } else { small }
}
