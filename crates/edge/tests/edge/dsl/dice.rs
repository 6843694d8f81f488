//! Seeded numbers, and how often a test repeats what it does.

/// Numbers that look random; the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    /// Those of `SKYLIFT_SEED`, else of 1; says so, since whoever repeats a failure needs it.
    #[expect(clippy::print_stderr, reason = "a failure is repeated with it")]
    pub(crate) fn seeded() -> Self {
        let seed = std::env::var("SKYLIFT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        eprintln!("SKYLIFT_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// `few` in the usual run, `many` in a soak, of which `SKYLIFT_ROUNDS` says how many at most.
pub(crate) fn count(few: usize, many: usize) -> usize {
    let count = if std::env::var_os("SKYLIFT_SOAK").is_some() { many } else { few };
    let most = std::env::var("SKYLIFT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    most.map_or(count, |most| count.min(most))
}
