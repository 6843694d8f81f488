//! What active checks make of a target: a state machine of thresholds. The checks themselves are somebody else's.

use std::time::Duration;

use crate::settings::Checks;

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    Passed,
    Failed,
}

/// What the checks so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// No check has passed.
    Starting,
    /// So many have failed since the last one that passed.
    Healthy { failed: u16 },
    /// So many have passed since the last one that failed.
    Unhealthy { passed: u16 },
}

/// How long to wait for the next check of a target. `random` spreads the checks of many: a tenth more or less.
pub fn next_probe(health: Health, checks: &Checks, random: u64) -> Duration {
    match health {
        Health::Starting => checks.every_while_starting,
        Health::Healthy { .. } | Health::Unhealthy { .. } => {
            let permille = 900 + u32::try_from(random % 201).unwrap_or(100);
            checks.every * permille / 1000
        }
    }
}

impl Probe {
    /// From the status of an answer: 200 to 399 is well.
    pub fn of_status(status: u16) -> Self {
        if (200..400).contains(&status) { Self::Passed } else { Self::Failed }
    }
}

impl Health {
    /// A target that is known to answer.
    pub const HEALTHY: Self = Self::Healthy { failed: 0 };

    /// What one more check makes of it.
    #[must_use]
    pub fn after(self, probe: Probe, checks: &Checks) -> Self {
        match (self, probe) {
            (Self::Starting | Self::Healthy { .. }, Probe::Passed) => Self::HEALTHY,
            (Self::Starting, Probe::Failed) => Self::Starting,
            (Self::Healthy { failed }, Probe::Failed) if failed + 1 >= checks.fall => Self::Unhealthy { passed: 0 },
            (Self::Healthy { failed }, Probe::Failed) => Self::Healthy { failed: failed + 1 },
            (Self::Unhealthy { passed }, Probe::Passed) if passed + 1 >= checks.rise => Self::HEALTHY,
            (Self::Unhealthy { passed }, Probe::Passed) => Self::Unhealthy { passed: passed + 1 },
            (Self::Unhealthy { .. }, Probe::Failed) => Self::Unhealthy { passed: 0 },
        }
    }

    /// Whether it may be asked.
    pub const fn is_healthy(self) -> bool {
        matches!(self, Self::Healthy { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` passed, `-` failed; the letter of the state after each.
    fn check(probes: &str) -> String {
        let mut health = Health::Starting;
        let step = |probe| {
            health = health.after(if probe == '+' { Probe::Passed } else { Probe::Failed }, &Checks::default());
            match health {
                Health::Starting => 's',
                Health::Healthy { .. } => 'h',
                Health::Unhealthy { .. } => 'u',
            }
        };
        probes.chars().map(step).collect()
    }

    #[test]
    fn thresholds_count_in_a_row() {
        assert_eq!(check("--+"), "ssh", "the first pass is enough");
        assert_eq!(check("+--+---"), "hhhhhhu");
        assert_eq!(check("+---+-++"), "hhhuuuuh");
        assert_eq!(check("+---++--"), "hhhuuhhh");
    }

    #[test]
    fn only_answers_of_200_to_399_pass() {
        let passing: Vec<u16> = (0..=u16::MAX).filter(|status| Probe::of_status(*status) == Probe::Passed).collect();
        assert_eq!((passing.first(), passing.last(), passing.len()), (Some(&200), Some(&399), 200));
    }

    #[test]
    fn checks_of_many_are_spread_and_starting_ones_are_quick() {
        let checks = Checks::default();
        assert_eq!(next_probe(Health::Starting, &checks, 7), Duration::from_millis(250));
        let all: Vec<Duration> = (0..201).map(|random| next_probe(Health::HEALTHY, &checks, random)).collect();
        assert_eq!(all.iter().min(), Some(&Duration::from_millis(4500)));
        assert_eq!(all.iter().max(), Some(&Duration::from_millis(5500)));
    }

    proptest::proptest! {
        #[test]
        fn a_state_is_what_the_last_checks_say(probes in proptest::collection::vec(proptest::bool::ANY, 0..40)) {
            let checks = Checks::default();
            let probe = |passed: &bool| if *passed { Probe::Passed } else { Probe::Failed };
            let health = probes.iter().fold(Health::Starting, |health, passed| health.after(probe(passed), &checks));
            let last_is = |count: usize, passed| probes.len() >= count && probes.iter().rev().take(count).all(|p| *p == passed);
            proptest::prop_assert_eq!(health == Health::Starting, !probes.contains(&true));
            if health != Health::Starting && last_is(3, false) { proptest::prop_assert!(!health.is_healthy()) }
            if last_is(2, true) { proptest::prop_assert!(health.is_healthy()) }
        }
    }
}
