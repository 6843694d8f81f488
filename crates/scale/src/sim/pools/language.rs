//! What the pools of languages cost.

/// What a pool costs, in memory and in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Language {
    /// What it is called.
    pub name: &'static str,
    /// Memory of what is loaded once, in MiB.
    pub base_mib: f64,
    /// Memory of one place that waits, in MiB.
    pub place_mib: f64,
    /// Time to load what is loaded once, in seconds.
    pub start_s: f64,
    /// Time to make one place ready, in seconds.
    pub refill_s: f64,
    /// Time to start its interpreter for one run, in seconds.
    pub cold_s: f64,
}

const fn language(name: &'static str, mib: [f64; 2], seconds: [f64; 3]) -> Language {
    let ([base_mib, place_mib], [start_s, refill_s, cold_s]) = (mib, seconds);
    Language { name, base_mib, place_mib, start_s, refill_s, cold_s }
}

/// The most used first: interpreters that fork, sets of packages, and sandboxes with nothing in them for what is compiled.
pub const LANGUAGES: [Language; 10] = [
    language("python", [9.5, 2.6], [0.10, 0.003, 0.016]),
    language("node", [38.0, 8.0], [0.25, 0.006, 0.050]),
    language("python+numpy", [18.0, 3.0], [0.25, 0.004, 0.120]),
    language("c++", [1.0, 0.7], [0.01, 0.002, 0.004]),
    language("python+web", [14.0, 3.0], [0.20, 0.004, 0.090]),
    language("lua", [1.0, 0.7], [0.01, 0.002, 0.004]),
    language("node+typescript", [50.0, 10.0], [0.60, 0.008, 0.300]),
    language("java", [24.0, 8.0], [0.40, 0.008, 0.120]),
    language("python+pandas", [36.0, 4.0], [0.60, 0.005, 0.400]),
    language("go", [1.0, 0.7], [0.01, 0.002, 0.004]),
];
