//! Who asks for a run, when, for how long, and how much memory it takes: by what is published of large platforms.
//!
//! Popularity is Zipf's. Times are log-normal and cut at the limit, memory is Burr's ("Serverless in the Wild"). Every third of the
//! less popular pools is used by timers: some runs on each mark of so many minutes.

use super::super::random::Random;
use super::language::Language;

/// How arrivals of those who do not follow a timer come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Of many who do not know each other, at a rate that stays.
    Poisson,
    /// On and off by turns (MMPP): a fifth of the time five times as many, else none, in bursts of ten.
    Bursty,
    /// As Poisson, but half of the rate goes up and down in a wave.
    Diurnal,
}

/// A load of several languages.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// How they arrive.
    pub arrivals: Arrivals,
    /// Arrivals a second of all pools together, in the mean.
    pub rate: f64,
    /// Zipf's exponent: the n-th pool has 1 ÷ nˢ as many as the first.
    pub zipf: f64,
    /// Whether every third pool is used by timers.
    pub timers: bool,
    /// How long, in seconds.
    pub seconds: u32,
    /// Median and deviation (of the logarithm) of a run's time, in seconds.
    pub takes: (f64, f64),
    /// No run takes longer, in seconds.
    pub takes_s_max: f64,
}

impl Mix {
    /// As in the traces: log-mean −0.38 and deviation 2.36 of seconds, cut at 10 s.
    #[must_use]
    pub fn traces(arrivals: Arrivals, rate: f64, seconds: u32) -> Self {
        Self { arrivals, rate, zipf: 1.3, timers: true, seconds, takes: ((-0.38_f64).exp(), 2.36), takes_s_max: 10.0 }
    }
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// When it is asked for, in seconds.
    pub at_s: f64,
    /// How long it takes, in seconds.
    pub takes_s: f64,
    /// The most memory it uses, in bytes.
    pub peak_bytes: f64,
}

/// All runs of one pool.
#[derive(Clone, Debug)]
pub struct Runs {
    /// What its pool costs.
    pub language: Language,
    /// In order.
    pub runs: Vec<Run>,
}

/// Runs of a burst in the mean: by that the time between arrivals has a coefficient of variation of 3 to 4.
const BURST: f64 = 10.0;
/// The share of time that is on.
const ON: f64 = 0.2;
/// Length of a wave.
const WAVE_S: f64 = 7200.0;
/// Timers' marks, in minutes: the least popular has the last.
const MARKS_MIN: [f64; 3] = [6.0, 10.0, 15.0];

impl Runs {
    /// The runs of each language, the most popular first.
    #[must_use]
    pub fn of(mix: &Mix, languages: &[Language], seed: u64) -> Vec<Self> {
        let share = |rank: usize| (rank as f64 + 1.0).powf(-mix.zipf);
        let all: f64 = (0..languages.len()).map(share).sum();
        let of_rank = |(rank, language): (usize, &Language)| {
            let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(rank as u64));
            let rate = mix.rate * share(rank) / all;
            // The fourth, the seventh and the tenth.
            let timer = (mix.timers && rank > 0 && rank % 3 == 0).then(|| MARKS_MIN.get(rank / 3 - 1)).flatten();
            let times = match timer {
                Some(minutes) => marks(*minutes * 60.0, mix, &mut random),
                None => times(rate, mix, &mut random),
            };
            let runs = times.into_iter().map(|at_s| drawn(at_s, mix, &mut random)).collect();
            Self { language: *language, runs }
        };
        languages.iter().enumerate().map(of_rank).collect()
    }
}

fn drawn(at_s: f64, mix: &Mix, random: &mut Random) -> Run {
    const MB: f64 = 1_000_000.0;
    let (median, sigma) = mix.takes;
    let takes_s = random.log_normal(median, sigma).clamp(0.001, mix.takes_s_max);
    let peak_bytes = random.burr(11.652, 0.221, 107.083) * MB;
    Run { at_s, takes_s, peak_bytes }
}

/// Two runs or three on every mark, a moment apart.
fn marks(every_s: f64, mix: &Mix, random: &mut Random) -> Vec<f64> {
    let mut times = Vec::new();
    let mut mark_s = every_s * random.unit();
    while mark_s < f64::from(mix.seconds) {
        let runs = 2 + u32::from(random.unit() < 0.5);
        times.extend((0..runs).map(|nth| mark_s + f64::from(nth) * 0.2 * random.unit()));
        mark_s += every_s;
    }
    times.sort_by(f64::total_cmp);
    times.retain(|at_s| *at_s < f64::from(mix.seconds));
    times
}

/// Arrivals at a rate that is made of the mean one.
fn times(rate: f64, mix: &Mix, random: &mut Random) -> Vec<f64> {
    let length_s = f64::from(mix.seconds);
    let mut times = Vec::new();
    let mut turns = Turns::new(rate, random);
    let most = match mix.arrivals {
        Arrivals::Poisson => rate,
        Arrivals::Bursty => rate / ON,
        Arrivals::Diurnal => rate * 1.5,
    };
    if most <= 0.0 {
        return times;
    }
    let mut at_s = random.exponential() / most;
    while at_s < length_s {
        // Thinned: as many of the most as the rate is of it.
        let counts = match mix.arrivals {
            Arrivals::Poisson => true,
            Arrivals::Bursty => turns.is_on(at_s, random),
            Arrivals::Diurnal => random.unit() * 1.5 < 1.0 - 0.5 * (at_s / WAVE_S * std::f64::consts::TAU).cos(),
        };
        if counts {
            times.push(at_s);
        }
        at_s += random.exponential() / most;
    }
    times
}

/// On and off by turns.
struct Turns {
    on: bool,
    /// A burst and the pause after it, in the mean.
    cycle_s: f64,
    until_s: f64,
}

impl Turns {
    fn new(rate: f64, random: &mut Random) -> Self {
        let cycle_s = BURST / rate.max(1e-9);
        Self { on: false, cycle_s, until_s: random.exponential() * cycle_s * (1.0 - ON) }
    }

    fn is_on(&mut self, at_s: f64, random: &mut Random) -> bool {
        while self.until_s <= at_s {
            self.on = !self.on;
            let share = if self.on { ON } else { 1.0 - ON };
            self.until_s += random.exponential() * self.cycle_s * share;
        }
        self.on
    }
}
