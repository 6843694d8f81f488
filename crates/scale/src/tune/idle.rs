//! How long a pool is kept after its last run, and when it is made ready ahead of the next: the hybrid histogram of "Serverless in the Wild".
//!
//! Idle times are counted in bins of a minute, over four hours. Where they lie close together, the pool is let go after a run and made
//! ready again before it is likely needed: from the 5th of a hundred less a tenth to the 99th and a tenth more. Where they say
//! nothing (too few, too even, more than half beyond the range), it is kept for the usual time.

use serde::Serialize;

const BIN_MS: u64 = 60_000;
const BINS: usize = 240;
const HEAD: f64 = 0.05;
const TAIL: f64 = 0.99;
const MARGIN: f64 = 0.1;
/// Below this coefficient of variation of the bins' counts they are too even to say anything.
const CV_MIN: f64 = 2.0;
const BEYOND_MAX: f64 = 0.5;
/// Of fewer nothing is concluded.
const COUNT_MIN: f64 = 5.0;
/// Older ones count less once there are so many: habits change.
const COUNT_MAX: f64 = 500.0;

/// When a pool is wanted, in milliseconds after its last run; also for a moment right after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// It is ready again from here; 0 where it is not let go before.
    pub prewarm_ms: u64,
    /// It is let go here.
    pub until_ms: u64,
}

/// Idle times that were seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Idle {
    bins: Vec<f64>,
    beyond: f64,
}

impl Idle {
    /// Counts an idle time.
    pub(super) fn count(&mut self, idle_ms: u64) {
        if self.bins.iter().sum::<f64>() + self.beyond >= COUNT_MAX {
            self.bins.iter_mut().for_each(|bin| *bin /= 2.0);
            self.beyond /= 2.0;
        }
        let index = usize::try_from(idle_ms / BIN_MS).unwrap_or(usize::MAX);
        if index >= BINS {
            self.beyond += 1.0;
            return;
        }
        if self.bins.len() <= index {
            self.bins.resize(index + 1, 0.0);
        }
        if let Some(bin) = self.bins.get_mut(index) {
            *bin += 1.0;
        }
    }

    /// When the pool is wanted, for no longer than `most_ms` at a stretch, and why.
    pub(super) fn window(&self, most_ms: u64) -> (Window, String) {
        let usual = Window { prewarm_ms: 0, until_ms: most_ms };
        let within: f64 = self.bins.iter().sum();
        let count = within + self.beyond;
        let as_usual = |why: String| (usual, format!("kept for {}: {why}", minutes(most_ms)));
        if count < COUNT_MIN {
            return as_usual(format!("{count:.0} idle times say too little"));
        }
        if self.beyond > count * BEYOND_MAX {
            return as_usual("most idle times are longer than four hours".to_owned());
        }
        if self.cv() < CV_MIN {
            return as_usual("idle times have no pattern".to_owned());
        }
        let (head_ms, tail_ms) = (self.quantile(HEAD) * BIN_MS, (self.quantile(TAIL) + 1) * BIN_MS);
        if head_ms == 0 {
            let until_ms = ((tail_ms as f64 * (1.0 + MARGIN)) as u64).min(most_ms);
            let why = format!("kept for {}: 99 of 100 idle times are below {}", minutes(until_ms), minutes(tail_ms));
            return (Window { prewarm_ms: 0, until_ms }, why);
        }
        let Some(spare_ms) = most_ms.checked_sub(tail_ms - head_ms) else {
            let between = format!("idle times from {} to {} are too far apart", minutes(head_ms), minutes(tail_ms));
            return as_usual(between);
        };
        let margin = |of_ms: u64| ((of_ms as f64 * MARGIN) as u64).min(spare_ms / 2);
        let window = Window { prewarm_ms: head_ms - margin(head_ms), until_ms: tail_ms + margin(tail_ms) };
        let why = format!(
            "let go, and ready again from {} to {} after a run: most idle times are {} to {}",
            minutes(window.prewarm_ms),
            minutes(window.until_ms),
            minutes(head_ms),
            minutes(tail_ms)
        );
        (window, why)
    }

    /// Coefficient of variation of the bins' counts.
    fn cv(&self) -> f64 {
        let mean = self.bins.iter().sum::<f64>() / BINS as f64;
        let squares: f64 = self.bins.iter().map(|bin| bin * bin).sum::<f64>() / BINS as f64;
        if mean > 0.0 { (squares - mean * mean).max(0.0).sqrt() / mean } else { 0.0 }
    }

    /// The bin that this share lies in or below, of those within the range.
    fn quantile(&self, share: f64) -> u64 {
        let wanted = self.bins.iter().sum::<f64>() * share;
        let mut sum = 0.0;
        for (index, bin) in (0..).zip(&self.bins) {
            sum += bin;
            if *bin > 0.0 && sum >= wanted {
                return index;
            }
        }
        self.bins.len().saturating_sub(1) as u64
    }
}

fn minutes(ms: u64) -> String {
    format!("{:.1} min", ms as f64 / BIN_MS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(idle_minutes: &[f64]) -> (Window, String) {
        let mut idle = Idle::default();
        idle_minutes.iter().for_each(|minutes| idle.count((minutes * 60_000.0) as u64));
        idle.window(300_000)
    }

    const USUAL: Window = Window { prewarm_ms: 0, until_ms: 300_000 };

    #[test]
    fn what_comes_every_ten_minutes_is_let_go_and_ready_a_minute_before() {
        let (window, why) = window(&[10.0; 8]);
        assert_eq!(window, Window { prewarm_ms: 540_000, until_ms: 726_000 });
        assert_eq!(
            why,
            "let go, and ready again from 9.0 min to 12.1 min after a run: most idle times are 10.0 min to 11.0 min"
        );
    }

    #[test]
    fn what_comes_every_hour_is_not_ready_for_longer_than_it_may() {
        let (window, _) = window(&[60.0; 8]);
        assert_eq!(window, Window { prewarm_ms: 58 * 60_000, until_ms: 63 * 60_000 });
    }

    #[test]
    fn short_idle_times_shorten_the_keep_alive() {
        assert_eq!(window(&[0.3; 50]).0, Window { prewarm_ms: 0, until_ms: 66_000 });
        assert_eq!(window(&[vec![0.3; 50], vec![30.0; 20]].concat()).0, USUAL, "no longer than it may");
    }

    #[test]
    fn what_says_nothing_leaves_the_usual() {
        let even: Vec<f64> = (0..240).map(f64::from).collect();
        for (idle, why) in [
            (vec![10.0; 4], "4 idle times say too little"),
            (vec![500.0; 9], "longer than four hours"),
            (even, "have no pattern"),
            ((5..40).map(f64::from).collect(), "too far apart"),
        ] {
            let (window, found) = window(&idle);
            assert!(window == USUAL && found.contains(why), "{window:?} {found}");
        }
    }
}
