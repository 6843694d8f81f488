//! What the two versions of a canary answered since its step began, as edges told it. Pure.

use skylift_bus::Answers;
use skylift_model::{DeploymentId, Timestamp};
use skylift_store::RolloutRow;

/// Counts since a step began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    step: Option<(u32, Option<Timestamp>)>,
    pub(crate) canary: Answers,
    pub(crate) stable: Answers,
    /// What came since it was last looked at, by deployment.
    heard: Vec<(DeploymentId, Answers)>,
}

impl Evidence {
    /// An edge said what was answered in the last second. Whose that was is known when it is looked at; before a step was
    /// looked at nothing counts.
    pub(crate) fn hear(&mut self, seen: &[(DeploymentId, Answers)]) {
        if self.step.is_some() {
            self.heard.extend(seen.iter().cloned());
        }
    }

    /// Counts what was heard as answered in the step that the rollout is in: a new step begins with nothing.
    pub(crate) fn look(&mut self, rollout: &RolloutRow) {
        let step = Some((rollout.step, rollout.step_at));
        let heard = std::mem::take(&mut self.heard);
        if self.step != step {
            *self = Self { step, ..Self::default() };
            // Counted for a time that was not this step's alone.
            return;
        }
        for (deployment, answers) in heard {
            if deployment == rollout.deployment {
                self.canary.add(&answers);
            } else if Some(&deployment) == rollout.old.as_ref() {
                self.stable.add(&answers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::rollout::{RolloutState, Strategy};

    use super::*;

    fn deployment(number: i64) -> DeploymentId {
        DeploymentId::new(Timestamp::from_millis(number), 0)
    }

    #[test]
    fn each_version_has_its_own_and_a_step_begins_with_nothing() {
        let mut rollout = RolloutRow {
            deployment: deployment(2),
            app: "shop".parse().unwrap(),
            old: Some(deployment(1)),
            strategy: Strategy::Canary,
            state: RolloutState::Going,
            step: 1,
            share: 1000,
            step_at: Some(Timestamp::from_millis(5)),
            began_at: Timestamp::from_millis(1),
            ended_at: None,
            reason: None,
        };
        let some = |failed| Answers { answered: 10, failed, ..Answers::default() };
        let mut evidence = Evidence::default();
        evidence.look(&rollout);
        evidence.hear(&[(deployment(1), some(1)), (deployment(2), some(2)), (deployment(3), some(3))]);
        evidence.hear(&[(deployment(2), some(4))]);
        evidence.look(&rollout);
        assert_eq!(evidence.stable, some(1));
        assert_eq!(evidence.canary, Answers { answered: 20, failed: 6, ..some(0) });
        (rollout.step, rollout.step_at) = (2, Some(Timestamp::from_millis(9)));
        evidence.hear(&[(deployment(2), some(4))]);
        evidence.look(&rollout);
        assert_eq!(evidence.canary, Answers::default());
    }
}
