//! Knative's KPA, as its autoscaler and `config-autoscaler` have it.
//!
//! Every 2 s: desired = ceil(mean concurrency ÷ target), where requests that wait in the activator count, and the target is 70 % of what a pod takes.
//! The stable window is 60 s, the panic window 6 s; panic begins where the latter asks for twice the ready pods, never goes
//! down, and ends after a stable window without. Up at most by a factor of 1000, down by 2, at a time.

use super::{Scaler, Watched, Window};

const TICK_S: u64 = 2;
const STABLE_S: u64 = 60;
const PANIC_S: usize = 6;
const PANIC_THRESHOLD: f64 = 2.0;
const TARGET_SHARE: f64 = 0.7;
const UP_MAX: f64 = 1000.0;
const DOWN_MAX: f64 = 2.0;

/// Knative's KPA on concurrency.
#[derive(Debug)]
pub struct Kpa {
    target: f64,
    concurrency: Window,
    /// When panic was last found, while it lasts, and the most pods wanted in it.
    panic: Option<(u64, u32)>,
}

impl Kpa {
    /// For pods that take so many requests at a time (`containerConcurrency`).
    #[must_use]
    pub fn new(container_concurrency: u32) -> Self {
        let target = f64::from(container_concurrency.max(1)) * TARGET_SHARE;
        Self { target, concurrency: Window::new(STABLE_S as usize), panic: None }
    }
}

impl Scaler for Kpa {
    fn want(&mut self, watched: &Watched) -> u32 {
        self.concurrency.push(f64::from(watched.waiting + watched.in_flight));
        if !watched.now_ms.is_multiple_of(TICK_S * 1000) {
            return watched.desired;
        }
        let ready = f64::from(watched.ready.max(1));
        let (most, least) = ((UP_MAX * ready).ceil(), (ready / DOWN_MAX).floor());
        let asked = |seconds| {
            let mean = self.concurrency.mean_of_last(seconds).unwrap_or(0.0);
            (mean / self.target).ceil()
        };
        let (stable, panic) = (asked(STABLE_S as usize), asked(PANIC_S));
        let over = panic / ready >= PANIC_THRESHOLD;
        let stable = stable.clamp(least, most) as u32;
        let panicked = panic.clamp(least, most) as u32;
        self.panic = match self.panic {
            _ if over => Some((watched.now_ms, self.panic.map_or(0, |(_, pods)| pods))),
            Some((since, _)) if watched.now_ms > since + STABLE_S * 1000 => None,
            other => other,
        };
        match &mut self.panic {
            Some((_, pods)) => {
                *pods = (*pods).max(panicked).max(watched.ready);
                *pods
            }
            None => stable,
        }
    }
}
