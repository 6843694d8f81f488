//! How a canary gets its share of the picks: exactly, and without a rhythm that a client could fall in step with.

use skylift_model::DeploymentId;

/// Picks in which the share is exact.
const ROUND: u64 = 10_000;
/// Without a common divisor with `ROUND`, and near the golden part of it: any few turns in a row are spread evenly.
const STRIDE: u64 = 6181;

/// One version that gets a share of what the app gets, whatever the number of its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    pub canary: DeploymentId,
    pub share: Share,
}

/// A share in hundredths of a percent, 100 % at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

impl Share {
    /// So many percent; more than 100 are 100.
    pub fn percent(percent: u8) -> Self {
        Self::hundredths(u16::from(percent) * 100)
    }

    /// So many hundredths of a percent; more than 10,000 are 10,000.
    pub fn hundredths(hundredths: u16) -> Self {
        Self(hundredths.min(10_000))
    }

    /// Whether the `turn`th pick is the canary's. Of any 10,000 picks in a row exactly the share is.
    pub(crate) fn has(self, turn: u64) -> bool {
        (turn % ROUND) * STRIDE % ROUND < u64::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_round_has_exactly_the_share() {
        for hundredths in [0, 1, 50, 100, 500, 3333, 5000, 9999, 10_000] {
            for start in [0, 1, 77, 9_999] {
                let count = (start..start + ROUND).filter(|turn| Share::hundredths(hundredths).has(*turn)).count();
                assert_eq!(count, usize::from(hundredths), "from {start}");
            }
        }
    }

    #[test]
    fn few_picks_are_near_the_share_already() {
        for percent in [1, 5, 10, 25, 50] {
            for length in [10_u64, 100, 1000] {
                let count = (0..length).filter(|turn| Share::percent(percent).has(*turn)).count() as f64;
                let expected = length as f64 * f64::from(percent) / 100.0;
                assert!((count - expected).abs() <= 4.0, "{count} of {length} at {percent} %");
            }
        }
    }

    #[test]
    fn a_client_that_asks_for_two_things_in_turn_gets_both_versions_for_both() {
        let share = Share::percent(50);
        let of_even = (0..ROUND).step_by(2).filter(|turn| share.has(*turn)).count();
        assert!((2000..3000).contains(&of_even), "{of_even} of 5000");
        // Every second turn, as plain counting would have it, gives one of the two to one version alone.
        let counted = (0..ROUND).step_by(2).filter(|turn| turn % 2 == 0).count();
        assert_eq!(counted, 5000);
    }
}
