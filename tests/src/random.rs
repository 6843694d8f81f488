//! Numbers that look random and can be had again: a failing test is repeated with the seed it printed.

/// A small generator (splitmix64).
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub const fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// The generator of `SKYLIFT_SEED`, else of a fixed seed.
    #[expect(clippy::print_stderr, reason = "the seed repeats a failure")]
    pub fn seeded() -> Self {
        let seed = std::env::var("SKYLIFT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_240_501);
        eprintln!("SKYLIFT_SEED={seed}");
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}

/// How often to repeat something: `few` times in the ordinary run, `many` with `SKYLIFT_SOAK=1`, of which
/// `SKYLIFT_ROUNDS` makes fewer.
pub fn rounds(few: u64, many: u64) -> u64 {
    let variable = |name: &str| std::env::var(name).ok();
    if variable("SKYLIFT_SOAK").is_none_or(|soak| soak != "1") {
        return few;
    }
    variable("SKYLIFT_ROUNDS").and_then(|rounds| rounds.parse().ok()).map_or(many, |rounds: u64| rounds.min(many))
}

/// How far apart the steps are that are tried of many: `wide` in the ordinary run, `narrow` with `SKYLIFT_SOAK=1`, unless
/// `SKYLIFT_ROUNDS` asks for fewer.
pub fn stride(wide: u64, narrow: u64) -> u64 {
    if std::env::var_os("SKYLIFT_ROUNDS").is_some() { wide } else { rounds(wide, narrow) }
}
