//! What was seen at one tick. Numbers that are none (NaN, infinite, negative) count as not seen.

use serde::{Deserialize, Serialize};

/// Use of processor of the instances that are warm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// Mean of those that reported, in percent of their own quota.
    pub percent: f64,
    /// How many reported.
    pub reporting: u32,
}

/// What was seen. `None` is "the sensor said nothing", which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Instances that are warm and serve.
    pub ready: u32,
    /// Instances that boot or warm up.
    pub starting: u32,
    /// Their use of processor, over the last few seconds.
    pub cpu: Option<Cpu>,
    /// Requests parked, or messages visible and due.
    pub waiting: Option<f64>,
    /// Requests or messages that instances work on.
    pub in_flight: Option<f64>,
    /// Instances that hold a request or a message; where it is not told, each in flight counts as one.
    pub holding: Option<u32>,
    /// What arrived since the last tick, a second.
    pub arrivals_per_s: Option<f64>,
    /// Mean time an instance works on one, in seconds.
    pub service_s: Option<f64>,
    /// How long instances take to serve, in seconds: a high percentile of measured starts.
    pub boot_s: Option<f64>,
}

/// No measure of ours is larger; what is larger is a broken sensor.
const LARGEST: f64 = 1e12;

impl Observed {
    /// The same without what cannot be true.
    pub(crate) fn sane(mut self) -> Self {
        self.cpu = self.cpu.filter(|cpu| sane(cpu.percent) && cpu.reporting > 0);
        for value in
            [&mut self.waiting, &mut self.in_flight, &mut self.arrivals_per_s, &mut self.service_s, &mut self.boot_s]
        {
            *value = value.filter(|value| sane(*value));
        }
        self
    }

    /// What waits and what is worked on; both sensors are needed.
    pub(crate) fn load(&self) -> Option<f64> {
        Some(self.waiting? + self.in_flight?)
    }

    /// Instances that must not go, since they hold something, as far as it is known.
    pub(crate) fn holders(&self) -> Option<u32> {
        // Each in flight may be on an instance of its own.
        let most = (self.in_flight? as u32).min(self.ready);
        Some(self.holding.map_or(most, |holding| holding.min(most)))
    }

    /// Whether it is seen that there is nothing to do. Not seeing is not idle.
    pub(crate) fn is_idle(&self) -> bool {
        self.load() == Some(0.0) && self.arrivals_per_s == Some(0.0)
    }

    /// Whether something to do is seen.
    pub(crate) fn is_busy(&self) -> bool {
        [self.waiting, self.in_flight, self.arrivals_per_s].iter().flatten().any(|value| *value > 0.0)
    }
}

fn sane(value: f64) -> bool {
    (0.0..=LARGEST).contains(&value)
}
