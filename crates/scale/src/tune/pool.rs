//! What is remembered of one pool.

use std::collections::VecDeque;

use super::bounds::Bounds;
use super::demand::Needs;
use super::idle::{Idle, Window};
use super::peaks::Peaks;
use super::seen::{Seen, sane};
use super::tuning::Learnt;

const FAST_S: f64 = 6.0;
const SLOW_S: f64 = 60.0;
/// How long it takes until a need counts half.
const NEEDS_HALF_S: f64 = 600.0;
/// Breaks shorter than this are none: nobody would let a pool go in between.
pub(super) const BREAK_MS: u64 = 10_000;
/// Of fewer runs no hint is made.
const PEAKS_MIN: f64 = 20.0;
/// What a hint has beyond what was used.
const HINT_ROOM: f64 = 1.25;
const MIB: f64 = 1024.0 * 1024.0;

/// What is remembered of one pool.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    /// For how long it was looked at, in seconds.
    watched_s: f64,
    pub(super) fast: f64,
    pub(super) slow: f64,
    /// Mean and mean square of arrivals in a second.
    counts: (f64, f64),
    pub(super) needs: Needs,
    /// (when, the largest need of a tick), no older than the fast window.
    recent: VecDeque<(u64, u32)>,
    pub(super) refill_s: Option<f64>,
    pub(super) service_s: Option<f64>,
    wait_s: Option<f64>,
    pub(super) cpu_s: Option<f64>,
    /// Ready, forked, cold.
    served: [f64; 3],
    peaks: Peaks,
    idle: Idle,
    pub(super) last_ms: u64,
    pub(super) window: Window,
    pub(super) window_why: String,
    /// Depths that are the largest wanted from their time on, oldest first.
    wanted: VecDeque<(u64, u32)>,
    pub(super) depth: u32,
    pub(super) base_bytes: f64,
    pub(super) place_bytes: f64,
}

/// Reckoned with until they are measured.
const BASE_BYTES: f64 = 10.0 * MIB;
const PLACE_BYTES: f64 = 3.0 * MIB;

impl Pool {
    /// One that was used just now, for the first time.
    pub(super) fn new(clock_ms: u64, bounds: &Bounds) -> Self {
        let (window, window_why) = Idle::default().window(bounds.keep_ms_max);
        Self {
            watched_s: 0.0,
            fast: 0.0,
            slow: 0.0,
            counts: (0.0, 0.0),
            needs: Needs::default(),
            recent: VecDeque::new(),
            refill_s: None,
            service_s: None,
            wait_s: None,
            cpu_s: None,
            served: [0.0; 3],
            peaks: Peaks::default(),
            idle: Idle::default(),
            last_ms: clock_ms,
            window,
            window_why,
            wanted: VecDeque::new(),
            depth: 0,
            base_bytes: BASE_BYTES,
            place_bytes: PLACE_BYTES,
        }
    }

    /// Takes in what was seen in a tick of so many milliseconds.
    pub(super) fn take_in(&mut self, seen: &Seen, clock_ms: u64, tick_ms: u64, bounds: &Bounds) {
        self.take_means(seen);
        for bytes in seen.peaks_bytes.iter().copied().filter_map(sane) {
            self.peaks.add(bytes);
        }
        let Some(arrivals) = seen.arrivals.and_then(sane) else { return self.not_seen(tick_ms) };
        let tick_s = tick_ms as f64 / 1000.0;
        if tick_s > 0.0 {
            self.take_rate(arrivals / tick_s, tick_s);
        }
        self.needs.take_in(&seen.needs);
        while self.recent.front().is_some_and(|(at, _)| clock_ms.saturating_sub(*at) >= (FAST_S * 1000.0) as u64) {
            self.recent.pop_front();
        }
        self.recent.push_back((clock_ms, seen.needs.most()));
        if arrivals > 0.0 {
            let idle_ms = clock_ms.saturating_sub(self.last_ms);
            if idle_ms >= BREAK_MS {
                self.idle.count(idle_ms);
                (self.window, self.window_why) = self.idle.window(bounds.keep_ms_max);
            }
            self.last_ms = clock_ms;
        }
    }

    /// Time in which nobody looked is no time in which nobody came.
    pub(super) fn not_seen(&mut self, tick_ms: u64) {
        self.last_ms = self.last_ms.saturating_add(tick_ms);
    }

    fn take_means(&mut self, seen: &Seen) {
        for (kept, now) in [
            (&mut self.refill_s, seen.refill_s),
            (&mut self.service_s, seen.service_s),
            (&mut self.wait_s, seen.wait_s),
            (&mut self.cpu_s, seen.cpu_s),
        ] {
            if let Some(now) = now.and_then(sane) {
                *kept = Some(kept.map_or(now, |old| old + (now - old) * 0.1));
            }
        }
        for (kept, now) in [(&mut self.base_bytes, seen.base_bytes), (&mut self.place_bytes, seen.place_bytes)] {
            *kept = now.and_then(sane).unwrap_or(*kept);
        }
        for (kept, now) in self.served.iter_mut().zip([seen.ready, seen.forked, seen.cold]) {
            *kept += sane(now).unwrap_or(0.0);
        }
    }

    fn take_rate(&mut self, rate: f64, tick_s: f64) {
        self.watched_s += tick_s;
        // Until a window is full, the plain mean: nothing was not seen to be zero before.
        let of_all = tick_s / self.watched_s;
        let weight = |window_s: f64| (1.0 - (-tick_s / window_s).exp()).max(of_all);
        self.fast += (rate - self.fast) * weight(FAST_S);
        self.slow += (rate - self.slow) * weight(SLOW_S);
        let (mean, square) = self.counts;
        self.counts = (mean + (rate - mean) * weight(SLOW_S), square + (rate * rate - square) * weight(SLOW_S));
        let fade = (-tick_s / NEEDS_HALF_S).exp2();
        self.needs.fade(fade);
        self.served.iter_mut().for_each(|served| *served *= fade);
    }

    /// Coefficient of variation of the time between arrivals, by the index of dispersion of their counts.
    pub(super) fn cv(&self) -> f64 {
        let (mean, square) = self.counts;
        if mean > 1e-9 { ((square - mean * mean).max(0.0) / mean).sqrt().min(100.0) } else { 1.0 }
    }

    /// The most that was needed in the fast window.
    pub(super) fn burst(&self) -> u32 {
        self.recent.iter().map(|(_, need)| *need).max().unwrap_or(0)
    }

    /// Remembers that so many are wanted, and answers with the most of the hold.
    pub(super) fn want(&mut self, wanted: u32, clock_ms: u64, hold_ms: u64) -> u32 {
        while self.wanted.back().is_some_and(|(_, before)| *before <= wanted) {
            self.wanted.pop_back();
        }
        self.wanted.push_back((clock_ms, wanted));
        while self.wanted.len() > 1
            && self.wanted.front().is_some_and(|(at, _)| clock_ms.saturating_sub(*at) >= hold_ms)
        {
            self.wanted.pop_front();
        }
        self.wanted.front().map_or(wanted, |(_, most)| *most)
    }

    /// Memory that a run should be reckoned with, and why.
    pub(super) fn memory_hint(&self, bounds: &Bounds) -> (u64, String) {
        let most = bounds.memory_hint_bytes_max;
        if self.peaks.count() < PEAKS_MIN {
            return (most, format!("{:.0} runs say too little", self.peaks.count()));
        }
        let p99 = self.peaks.quantile(0.99);
        let hint = ((p99 * HINT_ROOM / MIB).ceil() * MIB) as u64;
        let why = format!("99 of 100 runs used {:.1} MiB or less, and a quarter", p99 / MIB);
        if hint > most { (most, format!("{why}; it is the most that is reckoned with")) } else { (hint, why) }
    }

    /// What was learnt.
    pub(super) fn learnt(&self) -> Learnt {
        let served: f64 = self.served.iter().sum();
        let share = |of: f64| (served > 1e-9).then(|| of / served);
        let [ready, _, cold] = self.served;
        Learnt {
            rate_fast: self.fast,
            rate_slow: self.slow,
            cv: self.cv(),
            burst: self.burst(),
            refill_s: self.refill_s,
            service_s: self.service_s,
            wait_s: self.wait_s,
            cpu_s: self.cpu_s,
            ready_share: share(ready),
            cold_share: share(cold),
            peak_p99_bytes: (self.peaks.count() > 0.0).then(|| self.peaks.quantile(0.99)),
        }
    }
}
