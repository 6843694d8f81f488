//! AWS target tracking, as the guide of EC2 Auto Scaling describes it.
//!
//! One data point a minute. Three above the target in a row raise the high alarm, 15 below nine tenths of it the low one. While an
//! alarm is up, capacity moves in proportion every minute: out is rounded up, what goes in is rounded down. Instances that
//! warm up are left out of the metric, count as capacity for going out, and block going in.

use super::{Scaler, Watched, Window};

const PERIOD_S: u64 = 60;
const HIGH_POINTS: u32 = 3;
const LOW_POINTS: u32 = 15;
/// The low alarm lies a tenth below the target.
const LOW_SHARE: f64 = 0.9;

#[derive(Clone, Copy, Debug)]
enum Metric {
    /// Visible messages ÷ instances in service.
    Backlog,
    /// Mean use of processor of a minute.
    Cpu,
}

/// AWS target tracking.
#[derive(Debug)]
pub struct AwsTracking {
    metric: Metric,
    target: f64,
    cpu: Window,
    high: u32,
    low: u32,
}

impl AwsTracking {
    /// On `BacklogPerInstance`: messages that are visible, so not those in flight.
    #[must_use]
    pub fn backlog(target: f64) -> Self {
        Self::new(Metric::Backlog, target)
    }

    /// On mean use of processor.
    #[must_use]
    pub fn cpu(target: f64) -> Self {
        Self::new(Metric::Cpu, target)
    }

    fn new(metric: Metric, target: f64) -> Self {
        Self { metric, target, cpu: Window::new(PERIOD_S as usize), high: 0, low: 0 }
    }

    fn point(&self, watched: &Watched) -> Option<f64> {
        match self.metric {
            Metric::Backlog if watched.ready == 0 => None,
            Metric::Backlog => Some(f64::from(watched.waiting) / f64::from(watched.ready)),
            Metric::Cpu => self.cpu.mean(),
        }
    }
}

impl Scaler for AwsTracking {
    fn want(&mut self, watched: &Watched) -> u32 {
        if let Some(percent) = watched.cpu_percent {
            self.cpu.push(percent);
        }
        if !watched.now_ms.is_multiple_of(PERIOD_S * 1000) {
            return watched.desired;
        }
        let Some(point) = self.point(watched) else { return watched.desired };
        self.high = if point > self.target { self.high + 1 } else { 0 };
        self.low = if point < self.target * LOW_SHARE { self.low + 1 } else { 0 };
        let ready = f64::from(watched.ready);
        let ratio = point / self.target;
        if self.high >= HIGH_POINTS {
            return watched.desired.max((ready * ratio).ceil() as u32);
        }
        if self.low >= LOW_POINTS && watched.starting == 0 {
            return watched.desired - ((ready * (1.0 - ratio)).floor() as u32).min(watched.desired);
        }
        watched.desired
    }
}
