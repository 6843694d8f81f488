//! Passive ejection: pure rules on who may be ejected, and for how long.

use std::time::Duration;

use crate::settings::Ejection;

/// How the targets stand that have once been healthy and are not draining.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) serving: usize,
    /// Of them, how many are ejected, healthy or not.
    pub(crate) ejected: usize,
    /// Of them, how many are healthy and not ejected.
    pub(crate) available: usize,
}

/// Whether one more available target may be ejected: never the last, and never more than the share.
pub(crate) fn may_eject(standing: Standing, rules: &Ejection) -> bool {
    let within_share = (standing.ejected + 1) * 100 <= standing.serving * usize::from(rules.percent_max);
    within_share && standing.available > 1
}

/// Whether so few are available that all are used: more likely the checks are wrong than nearly all targets, and the few
/// could not carry the load.
pub(crate) fn fails_open(standing: Standing, rules: &Ejection) -> bool {
    standing.available * 100 < standing.serving * usize::from(rules.fail_open_percent)
}

/// How long the `times`th ejection lasts.
pub(crate) fn lasts(times: u32, rules: &Ejection) -> Duration {
    rules.base.saturating_mul(times).min(rules.longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_may_be_out_but_never_the_last() {
        let most_out = |serving: usize| {
            let standing = |ejected| Standing { serving, ejected, available: serving - ejected };
            (0..serving).take_while(|ejected| may_eject(standing(*ejected), &Ejection::default())).count()
        };
        assert_eq!([0, 1, 2, 3, 4, 5, 10].map(most_out), [0, 0, 1, 1, 2, 2, 5]);
    }

    #[test]
    fn the_last_healthy_one_stays_though_the_share_would_allow_it() {
        let one_of_four = Standing { serving: 4, ejected: 0, available: 1 };
        assert!(!may_eject(one_of_four, &Ejection::default()));
    }

    #[test]
    fn below_half_all_are_used() {
        let opens = |available, serving| fails_open(Standing { serving, ejected: 0, available }, &Ejection::default());
        assert!(opens(0, 1) && opens(0, 10) && opens(4, 10));
        assert!(!opens(5, 10) && !opens(1, 2) && !opens(0, 0));
    }

    #[test]
    fn each_ejection_lasts_longer_up_to_the_longest() {
        let seconds = |times| lasts(times, &Ejection::default()).as_secs();
        assert_eq!([1, 2, 3, 29, 30, 31, u32::MAX].map(seconds), [10, 20, 30, 290, 300, 300, 300]);
    }
}
