//! Whether what went live a moment ago does as well as what it replaced. Pure.
//!
//! A deployment that replaced another is on trial for `trial_seconds`, once, from the moment at which it had all requests. It is taken back
//! where it does not last: its instances end by themselves again and again, none of them passes its checks, or it fails or dawdles
//! clearly more than the version before did. Not where that one did the same: then it is something else.

use std::time::Duration;

use skylift_bus::Answers;
use skylift_model::rollout::RolloutSettings;
use skylift_model::{DeploymentId, InstanceState, Timestamp};
use skylift_store::{Fleet, RolloutRow};

use crate::judge::{Verdict, compare};

/// So many instances at least must have ended: one may have been anything.
const ENDS_MIN: usize = 2;

/// What follows of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// There is none, or it is over.
    None,
    /// It goes on, at most until then.
    Until(Timestamp),
    /// What was live before is to be live again; why, in words.
    Failed(String),
}

/// Judges what is live. `answers`: what it answered lately, and what the one before it did.
pub(crate) fn judge(fleet: &Fleet, rollout: &RolloutRow, answers: (&Answers, &Answers), now: Timestamp) -> Trial {
    let (Some(began), Some(old)) = (rollout.ended_at, &rollout.old) else { return Trial::None };
    let until = began.plus(Duration::from_secs(u64::from(fleet.settings.trial_seconds)));
    if now >= until {
        return Trial::None;
    }
    let why =
        ends(fleet, &rollout.deployment, old).or_else(|| checks(fleet)).or_else(|| worse(answers, &fleet.settings));
    match why {
        Some(why) => {
            Trial::Failed(format!("taken back {} s after it had gone live: {why}", now.since(began).as_secs()))
        }
        None => Trial::Until(until),
    }
}

/// Where as many of its instances have ended by themselves as it has, and those of the version before have not.
fn ends(fleet: &Fleet, new: &DeploymentId, old: &DeploymentId) -> Option<String> {
    let of = |deployment: &DeploymentId| fleet.crashes.iter().filter(|crash| crash.deployment == *deployment).count();
    let last = fleet.crashes.iter().find(|crash| crash.deployment == *new)?;
    let (count, is_its_own) = (of(new), of(old) < ENDS_MIN);
    let is_again_and_again = count >= ENDS_MIN.max(fleet.wanted as usize);
    (is_its_own && is_again_and_again)
        .then(|| format!("{count} of its instances ended by themselves, the last so: {}", last.reason))
}

/// Where all of its instances that were ready fail their checks.
fn checks(fleet: &Fleet) -> Option<String> {
    let of_live = |row: &&skylift_store::InstanceRow| Some(&row.deployment) == fleet.live.as_ref();
    let mut ready = fleet.instances.iter().filter(of_live).filter(|row| row.state == InstanceState::Ready).peekable();
    ready.peek()?;
    ready.all(|row| row.unhealthy_since.is_some()).then(|| "all of its instances fail their health checks".to_owned())
}

/// Where it answers clearly worse than the version before did, and there is enough of both to tell.
fn worse((new, old): (&Answers, &Answers), settings: &RolloutSettings) -> Option<String> {
    if !settings.auto_abort || old.answered < u64::from(settings.min_requests) {
        return None;
    }
    match compare(new, old, settings) {
        Verdict::Abort(why) => Some(why),
        Verdict::GoOn | Verdict::Wait(_) => None,
    }
}

#[cfg(test)]
mod tests;
