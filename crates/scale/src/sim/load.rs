//! How many arrive when: shapes with a seed, or a trace.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::trace::Trace;

/// The shape of a load between `low` and `high` a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Low, for a third high, low again.
    Step,
    /// Low, with a minute of high every 15 minutes.
    Spike,
    /// A wave of 10 minutes.
    Sine,
    /// Up for 10 minutes, then down at once.
    Sawtooth,
    /// One wave over the whole time, as a day is: low at both ends.
    Diurnal,
    /// The middle of low and high, all the time.
    Poisson,
    /// A minute of high, a minute of low, by turns.
    Square,
}

/// Arrivals in time, in milliseconds.
#[derive(Clone, Debug)]
pub struct Load {
    /// When each arrives, in order.
    pub arrivals_ms: Vec<u64>,
    /// The true rate in each second, which only the oracle knows.
    pub rates: Vec<f64>,
}

impl Shape {
    /// The rate a second at second `at` of `length`.
    fn rate(self, at: f64, length: f64, low: f64, high: f64) -> f64 {
        let wave = |part: f64| low + (high - low) * (1.0 - (part * std::f64::consts::TAU).cos()) / 2.0;
        match self {
            Self::Step if (length / 3.0..length * 2.0 / 3.0).contains(&at) => high,
            Self::Spike if (300.0..360.0).contains(&(at % 900.0)) => high,
            Self::Square if at % 120.0 < 60.0 => high,
            Self::Step | Self::Spike | Self::Square => low,
            Self::Sine => wave(at / 600.0),
            Self::Sawtooth => low + (high - low) * (at % 600.0) / 600.0,
            Self::Diurnal => wave(at / length),
            Self::Poisson => (low + high) / 2.0,
        }
    }
}

impl Load {
    /// Arrivals of many who do not know each other, at the rates of a shape.
    #[must_use]
    pub fn of_shape(shape: Shape, low: f64, high: f64, seconds: u32, seed: u64) -> Self {
        let length = f64::from(seconds);
        Self::at_rates((0..seconds).map(|s| shape.rate(f64::from(s), length, low, high).max(0.0)).collect(), seed)
    }

    /// The load of a trace.
    #[must_use]
    pub fn of_trace(trace: &Trace, seed: u64) -> Self {
        Self::at_rates(trace.rates.clone(), seed)
    }

    fn at_rates(rates: Vec<f64>, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut arrivals_ms = Vec::new();
        // One unit of exponential time is one arrival, however fast the time runs.
        let mut due = random.exponential();
        for (second, rate) in rates.iter().enumerate() {
            let mut spent = 0.0;
            while due <= rate - spent {
                spent += due;
                arrivals_ms.push(second as u64 * 1000 + (spent / rate * 1000.0) as u64);
                due = random.exponential();
            }
            due -= rate - spent;
        }
        Self { arrivals_ms, rates }
    }
}
