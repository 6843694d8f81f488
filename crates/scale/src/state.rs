//! What is remembered from tick to tick.
//!
//! Its clock is its own: it goes on by what the caller's did, never back, and by 10 s a tick at most, so that a hold is
//! made of time in which somebody looked.

use std::collections::VecDeque;

use crate::observed::Observed;
use crate::settings::Settings;

/// The longest a tick counts for.
const TICK_MS_MAX: u64 = 10_000;
/// Samples of arrivals kept; more often than ten a second is not needed.
const SAMPLES_MAX: usize = 1024;

/// What is remembered from tick to tick. A new one holds what it finds.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) desired: Option<u32>,
    caller_ms: Option<u64>,
    pub(crate) clock_ms: u64,
    /// (when, length, a second) of ticks with arrivals known, oldest first.
    arrivals: VecDeque<(u64, u64, f64)>,
    /// Wanted numbers that are the largest from their time on, oldest first.
    wanted: VecDeque<(u64, u32)>,
    pub(crate) rate: Option<Rate>,
    pub(crate) service_s: Option<f64>,
    /// Percent-seconds of processor that one request takes.
    pub(crate) cpu_per_request: Option<f64>,
    pub(crate) idle_since_ms: Option<u64>,
    pub(crate) last_out_ms: Option<u64>,
    pub(crate) panic_ms: Option<u64>,
    /// Numbers and times of steps in within the last `in_step_ms`: (when, how many there were before).
    pub(crate) steps_in: VecDeque<(u64, u32)>,
    pub(crate) drained_in_ms: Option<u64>,
    pub(crate) patient_until_ms: Option<u64>,
}

/// How many arrive a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// In the fast window.
    pub(crate) fast: f64,
    /// In the slow window.
    pub(crate) slow: f64,
    /// The one to plan with: the fast one in a surge.
    pub(crate) planned: f64,
    pub(crate) surge: bool,
}

impl State {
    /// How many there should be, by the last decision or by hand.
    #[must_use]
    pub fn desired(&self) -> Option<u32> {
        self.desired
    }

    /// Sets the number by hand: scaling goes on from there.
    pub fn set_desired(&mut self, desired: u32) {
        self.desired = Some(desired);
        self.wanted.clear();
        self.want(desired);
    }

    /// Moves the clock on and takes in what was seen.
    pub(crate) fn take_in(&mut self, seen: &Observed, settings: &Settings, now_ms: u64) {
        let tick_ms = self.caller_ms.map_or(0, |last| now_ms.saturating_sub(last)).min(TICK_MS_MAX);
        self.caller_ms = Some(now_ms);
        self.clock_ms = self.clock_ms.saturating_add(tick_ms);
        if let Some(service_s) = seen.service_s.filter(|service_s| *service_s > 0.0) {
            self.service_s = Some(self.service_s.map_or(service_s, |old| old + (service_s - old) * 0.2));
        }
        self.take_rate(seen, settings, tick_ms);
        match seen.is_idle() {
            true => self.idle_since_ms = self.idle_since_ms.or(Some(self.clock_ms)),
            false => self.idle_since_ms = None,
        }
    }

    fn take_rate(&mut self, seen: &Observed, settings: &Settings, tick_ms: u64) {
        // What was usual is asked before the newest tick counts, else more arrivals could make a surge of fewer.
        let usual = self.mean(settings.slow_ms);
        let Some(now) = seen.arrivals_per_s else {
            self.rate = None;
            return;
        };
        if tick_ms > 0 {
            self.arrivals.push_back((self.clock_ms, tick_ms, now));
        }
        let oldest = self.clock_ms.saturating_sub(settings.slow_ms.max(settings.fast_ms));
        while self.arrivals.front().is_some_and(|(at, ..)| *at <= oldest && self.clock_ms > 0)
            || self.arrivals.len() > SAMPLES_MAX
        {
            self.arrivals.pop_front();
        }
        let fast = self.mean(settings.fast_ms).unwrap_or(now);
        let slow = self.mean(settings.slow_ms).unwrap_or(now);
        let usual = usual.unwrap_or(slow);
        // Arrivals of many who do not know each other: the variance of a count is the count.
        let fast_s = (settings.fast_ms.max(1000) as f64) / 1000.0;
        let sigma = (usual / fast_s).sqrt();
        let surge = fast > usual + settings.surge_sigmas.max(0.0) * sigma;
        self.rate = Some(Rate { fast, slow, planned: if surge { fast.max(slow) } else { slow }, surge });
    }

    /// The mean rate of the last `window_ms`, if anything is known of it.
    fn mean(&self, window_ms: u64) -> Option<f64> {
        let from = self.clock_ms.saturating_sub(window_ms);
        let (mut arrived, mut length) = (0.0, 0.0);
        for (_, tick_ms, rate) in self.arrivals.iter().rev().take_while(|(at, ..)| *at > from || *at == self.clock_ms) {
            arrived += rate * *tick_ms as f64;
            length += *tick_ms as f64;
        }
        (length > 0.0).then(|| arrived / length)
    }

    /// Remembers that so many were wanted.
    pub(crate) fn want(&mut self, wanted: u32) {
        while self.wanted.back().is_some_and(|(_, before)| *before <= wanted) {
            self.wanted.pop_back();
        }
        self.wanted.push_back((self.clock_ms, wanted));
    }

    /// The most that was wanted in the hold.
    pub(crate) fn most_wanted(&mut self, hold_ms: u64) -> u32 {
        while self.wanted.len() > 1
            && self.wanted.front().is_some_and(|(at, _)| self.clock_ms.saturating_sub(*at) >= hold_ms)
        {
            self.wanted.pop_front();
        }
        self.wanted.front().map_or(0, |(_, wanted)| *wanted)
    }

    /// Whether less than `ms` have gone by since `then`.
    pub(crate) fn within(&self, then: Option<u64>, ms: u64) -> bool {
        then.is_some_and(|then| self.clock_ms.saturating_sub(then) < ms)
    }
}
