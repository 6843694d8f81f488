//! Whether a canary does as well as what it is to replace. Pure.
//!
//! What is compared are shares of answers: those that failed, and those that took much longer than the old version's slowest
//! tenth. A share counts as too large only where its lower bound is (Wilson 1927, one-sided 99 %), so that no handful decides.

use skylift_bus::Answers;
use skylift_model::rollout::RolloutSettings;

/// What follows for the rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against the next step.
    GoOn,
    /// It looks worse, and there are too few answers to tell; why, in words.
    Wait(String),
    /// It is worse; why, in words.
    Abort(String),
}

/// 99 % of what varies by chance stays above.
const Z: f64 = 2.326;
/// The share of the old version's answers that are slower than what the new one's are compared with.
const SLOWEST: f64 = 0.1;
/// A difference that nobody feels is none.
const SLOWER_BY_MS: f64 = 100.0;

/// Judges what the new version answered beside what the old one did in the same time.
pub fn judge(canary: &Answers, stable: &Answers, settings: &RolloutSettings) -> Verdict {
    if !settings.auto_abort {
        return Verdict::GoOn;
    }
    match compare(canary, stable, settings) {
        Verdict::Abort(why) => Verdict::Abort(format!("rollout aborted: {why}")),
        verdict => verdict,
    }
}

/// The same of any two versions, whoever is to draw a conclusion.
pub(crate) fn compare(canary: &Answers, stable: &Answers, settings: &RolloutSettings) -> Verdict {
    match errors(canary, stable, settings) {
        Verdict::GoOn => slowness(canary, stable, settings),
        worse => worse,
    }
}

fn errors(canary: &Answers, stable: &Answers, settings: &RolloutSettings) -> Verdict {
    let (share, of_old) = (share(canary.failed, canary.answered), share(stable.failed, stable.answered));
    let allowed = of_old + f64::from(settings.error_percent) / 100.0;
    if share <= allowed {
        return Verdict::GoOn;
    }
    let few = canary.answered < u64::from(settings.min_requests);
    if few || at_least(canary.failed, canary.answered) <= allowed {
        let told = format!("{} of {} answers failed, which is too few to tell", canary.failed, canary.answered);
        return Verdict::Wait(told);
    }
    Verdict::Abort(format!(
        "{:.1} % of {} answers failed, {:.1} % of the old version's",
        share * 100.0,
        canary.answered,
        of_old * 100.0
    ))
}

fn slowness(canary: &Answers, stable: &Answers, settings: &RolloutSettings) -> Verdict {
    let least = u64::from(settings.min_requests);
    if canary.answered < least || stable.answered < least {
        return Verdict::GoOn;
    }
    let Some(usual) = slowest_tenth_ms(stable) else { return Verdict::GoOn };
    let limit = (usual * f64::from(settings.latency_factor)).max(usual + SLOWER_BY_MS);
    // The first power of two from which on everything is above the limit.
    let from = (0..Answers::TOOK).find(|power| edge_ms(*power) >= limit).unwrap_or(Answers::TOOK);
    let slow: u64 = canary.took.iter().skip(from + 1).sum();
    if at_least(slow, canary.answered) <= SLOWEST {
        return Verdict::GoOn;
    }
    Verdict::Abort(format!(
        "{:.1} % of {} answers took longer than {:.0} ms, and nine of ten of the old version's at most {usual:.0} ms",
        share(slow, canary.answered) * 100.0,
        canary.answered,
        edge_ms(from)
    ))
}

/// The time within which nine of ten answers came, by how they lie in their power of two; `None` where there is none.
fn slowest_tenth_ms(answers: &Answers) -> Option<f64> {
    let all: u64 = answers.took.iter().sum();
    let wanted = all as f64 * (1.0 - SLOWEST);
    let mut below = 0.0;
    for (power, count) in answers.took.iter().enumerate() {
        let count = *count as f64;
        if count > 0.0 && below + count >= wanted {
            let from = if power == 0 { 0.0 } else { edge_ms(power - 1) };
            return Some(from + (edge_ms(power) - from) * (wanted - below) / count);
        }
        below += count;
    }
    None
}

/// The end of a bucket of [`Answers::took`], in milliseconds.
fn edge_ms(power: usize) -> f64 {
    2_f64.powi(i32::try_from(power).unwrap_or(i32::MAX))
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The share that is at least there, whatever chance did to these counts.
fn at_least(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let (n, p, z2) = (whole as f64, share(part.min(whole), whole), Z * Z);
    let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((p + z2 / (2.0 * n) - spread) / (1.0 + z2 / n)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(ms: u64) -> usize {
        (0..Answers::TOOK).find(|power| (ms as f64) < edge_ms(*power)).unwrap()
    }

    /// Answers that all took this long, of which some failed.
    fn answers(answered: u64, failed: u64, ms: u64) -> Answers {
        let mut answers = Answers { answered, failed, ..Answers::default() };
        answers.took[bucket(ms)] = answered - failed;
        answers
    }

    fn check(canary: (u64, u64, u64), stable: (u64, u64, u64)) -> Verdict {
        let of = |(answered, failed, ms)| answers(answered, failed, ms);
        judge(&of(canary), &of(stable), &RolloutSettings::default())
    }

    #[test]
    fn what_fails_more_is_aborted_with_the_figures() {
        assert_eq!(
            check((150, 18, 5), (1000, 1, 5)),
            Verdict::Abort("rollout aborted: 12.0 % of 150 answers failed, 0.1 % of the old version's".to_owned())
        );
        assert!(matches!(check((20, 20, 5), (180, 0, 5)), Verdict::Abort(_)), "at the first moment at which it may");
        assert!(matches!(check((20, 20, 5), (0, 0, 5)), Verdict::Abort(_)), "with nothing to compare with, too");
    }

    #[test]
    fn a_handful_never_decides() {
        for failed in 1..=19 {
            assert!(matches!(check((19, failed, 5), (1000, 0, 5)), Verdict::Wait(_)), "{failed} of 19");
        }
        assert!(matches!(check((20, 1, 5), (1000, 0, 5)), Verdict::Wait(_)), "one of twenty may be chance");
        assert!(matches!(check((100, 3, 5), (1000, 0, 5)), Verdict::Wait(_)), "three of a hundred, too");
        assert!(matches!(check((1000, 40, 5), (1000, 0, 5)), Verdict::Abort(_)), "forty of a thousand are not");
        assert_eq!(check((100, 2, 5), (1000, 0, 5)), Verdict::GoOn, "two of a hundred are allowed");
        assert_eq!(check((0, 0, 5), (0, 0, 5)), Verdict::GoOn, "nobody asks");
    }

    #[test]
    fn what_fails_as_much_as_before_goes_on() {
        assert_eq!(check((500, 100, 5), (5000, 1000, 5)), Verdict::GoOn);
        assert_eq!(check((500, 0, 5), (5000, 5000, 5)), Verdict::GoOn, "it may well be better");
    }

    #[test]
    fn what_is_much_slower_is_aborted_and_a_slow_few_are_not() {
        let Verdict::Abort(told) = check((150, 0, 900), (1000, 0, 20)) else { panic!("it goes on") };
        assert!(told.contains("100.0 % of 150 answers took longer than 256 ms"), "{told}");
        assert_eq!(check((150, 0, 60), (1000, 0, 20)), Verdict::GoOn, "nobody feels that");
        assert_eq!(check((150, 0, 900), (1000, 0, 500)), Verdict::GoOn, "less than three times as long");
        assert_eq!(check((19, 0, 900), (1000, 0, 20)), Verdict::GoOn, "too few");
        assert_eq!(check((150, 0, 900), (19, 0, 20)), Verdict::GoOn, "too few to compare with");
        let mut canary = answers(150, 0, 20);
        canary.took[bucket(9000)] = 15;
        assert_eq!(
            judge(&canary, &answers(1000, 0, 20), &RolloutSettings::default()),
            Verdict::GoOn,
            "a tenth is usual"
        );
    }

    #[test]
    fn the_same_failures_go_on_where_it_is_switched_off() {
        let off = RolloutSettings { auto_abort: false, ..RolloutSettings::default() };
        assert_eq!(judge(&answers(1000, 1000, 5), &answers(1000, 0, 5), &off), Verdict::GoOn);
    }

    #[test]
    fn a_bound_is_below_the_share_and_comes_nearer_with_the_count() {
        for part in [0.0, 0.05, 0.5, 1.0_f64] {
            let bound = |n: u64| at_least((part * n as f64) as u64, n);
            assert!(bound(20) <= bound(200) + 1e-9 && bound(200) <= bound(20_000) + 1e-9, "{part}");
            assert!(bound(20_000) <= part + 1e-9 && part - bound(2_000_000) < 0.01, "{part}");
        }
        assert_eq!(at_least(5, 0), 0.0);
        assert!(at_least(9, 3) <= 1.0, "counts of two moments may contradict each other");
    }
}
