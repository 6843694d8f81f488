//! KEDA with the HPA of Kubernetes, as their documentation has it.
//!
//! The queue's length, in flight included (`scaleOnInFlight`), is an external metric of type AverageValue: KEDA answers the HPA with
//! a fresh value every 15 s. desired = ceil(length ÷ target) unless the ratio is within a tenth. Up: by the larger of 100 % and four pods in 15 s,
//! without a window. Down: to the most that was recommended in 300 s.

use super::{Scaler, Watched, Window};

const PERIOD_S: u64 = 15;
const DOWN_WINDOW_S: u64 = 300;
const TOLERANCE: f64 = 0.1;

/// KEDA's queue scaler with the HPA.
#[derive(Debug)]
pub struct KedaHpa {
    queue_length: f64,
    recommended: Window,
}

impl KedaHpa {
    /// With KEDA's `queueLength` for one pod.
    #[must_use]
    pub fn new(queue_length: f64) -> Self {
        Self { queue_length, recommended: Window::new((DOWN_WINDOW_S / PERIOD_S) as usize) }
    }
}

impl Scaler for KedaHpa {
    fn want(&mut self, watched: &Watched) -> u32 {
        if !watched.now_ms.is_multiple_of(PERIOD_S * 1000) {
            return watched.desired;
        }
        let length = f64::from(watched.waiting + watched.in_flight);
        let pods = f64::from(watched.ready + watched.starting).max(1.0);
        let ratio = length / (self.queue_length * pods);
        let near = (ratio - 1.0).abs() <= TOLERANCE;
        let recommended = if near { pods } else { (length / self.queue_length).ceil() };
        self.recommended.push(recommended);
        let desired = f64::from(watched.desired);
        if recommended > desired {
            return recommended.min((desired * 2.0).max(desired + 4.0)) as u32;
        }
        self.recommended.largest().unwrap_or(desired).min(desired) as u32
    }
}
