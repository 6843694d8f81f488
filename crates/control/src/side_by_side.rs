//! A rollout whose instances stand beside the old ones, canary or blue/green: what comes next. Pure.
//!
//! The old version keeps as many instances as are wanted until the new one has all requests, so going back takes no time. The new
//! one has its part of them: of a canary the share of the step it is in, one at least; of blue/green all.

use std::time::Duration;

use skylift_model::rollout::{RolloutSettings, RolloutState, Strategy};
use skylift_model::{DeploymentId, InstanceState, Timestamp};
use skylift_store::{Changes, Fleet, InstanceRow, RolloutRow};

use crate::fleet::{NO_NODE, Next, Pace, Rollout, failed, free_again_at, sooner, take_back};
use crate::judge::Verdict;

/// Plans the next changes of a fleet whose rollout is side by side.
pub fn plan(
    fleet: &Fleet,
    rollout: &RolloutRow,
    verdict: &Verdict,
    pace: Pace,
    node: Option<&str>,
    now: Timestamp,
) -> Next {
    let new = Version::of(fleet, |row| row.deployment == rollout.deployment);
    let ended = match (node, verdict) {
        (None, _) => Some(NO_NODE.to_owned()),
        (_, Verdict::Abort(why)) => Some(why.clone()),
        _ => failed(fleet, &new.starting, pace, now),
    };
    let course = Course::of(rollout, &fleet.settings, verdict, now);
    let wanted = fleet.wanted.max(1) as usize;
    let part = part_of(wanted, course.toward);
    let mut next = Next { changes: Changes::default(), rollout: course.stage(new.ready.len() >= part), again_at: None };
    if let Some(why) = ended {
        next.rollout = Rollout::Failed(why);
    }
    let (Rollout::Rolling | Rollout::Waiting, Some(node)) = (&next.rollout, node) else { return next };
    if let Some(at) = course.over_at {
        sooner(&mut next.again_at, at);
    }
    new.towards(&rollout.deployment, part, node, &mut next.changes);
    if let Some(live) = &fleet.live {
        keep(fleet, live, (wanted, pace, node, now), &mut next);
    }
    if let Some(oldest) = new.starting.first() {
        sooner(&mut next.again_at, oldest.created_at.plus(pace.start));
    }
    next
}

/// The old version goes on, whole; what is of neither goes.
fn keep(fleet: &Fleet, live: &DeploymentId, at: (usize, Pace, &str, Timestamp), next: &mut Next) {
    let (wanted, pace, node, now) = at;
    let old = Version::of(fleet, |row| row.deployment == *live);
    let late = old.starting.iter().filter(|row| now.since(row.created_at) >= pace.start);
    next.changes.stop.extend(late.map(|row| row.id.clone()));
    match free_again_at(fleet, live, pace, now) {
        Some(at) if old.count() < wanted => sooner(&mut next.again_at, at),
        _ => old.towards(live, wanted, node, &mut next.changes),
    }
    let strays = Version::of(fleet, |row| row.deployment != *live && Some(&row.deployment) != fleet.next.as_ref());
    next.changes.stop.extend(strays.starting.iter().map(|row| row.id.clone()));
    let spare = (old.ready.len() + strays.ready.len()).saturating_sub(wanted);
    next.changes.drain.extend(strays.ready.iter().take(spare).map(|row| row.id.clone()));
}

/// Where a rollout is to go from where it is.
struct Course {
    /// The share that comes next, or is there, in percent.
    toward: u8,
    /// Whether it may be given as soon as there are instances for it.
    is_due: bool,
    /// Whether its owner is waited for.
    waits: bool,
    /// When the step that it is in is over.
    over_at: Option<Timestamp>,
}

impl Course {
    fn of(rollout: &RolloutRow, settings: &RolloutSettings, verdict: &Verdict, now: Timestamp) -> Self {
        let given = rollout.step as usize;
        let step = |number: usize| settings.steps.get(number).copied().unwrap_or(100);
        let to = |toward, is_due| Self { toward, is_due, waits: false, over_at: None };
        match (rollout.state, rollout.strategy) {
            (RolloutState::Promoted, _) => to(100, true),
            (RolloutState::Paused, Strategy::Canary) => to(step(given.saturating_sub(1)), false),
            (RolloutState::Paused, _) => to(100, false),
            (_, Strategy::Canary) if given == 0 => to(step(0), true),
            (_, Strategy::Canary) => {
                let over_at = rollout.step_at.map(|at| at.plus(seconds(settings.step_seconds)));
                if over_at.is_some_and(|over_at| now < over_at) {
                    return Self { over_at, ..to(step(given - 1), false) };
                }
                let is_well = *verdict == Verdict::GoOn;
                to(step(if is_well { given } else { given - 1 }), is_well)
            }
            _ => Self { waits: !settings.auto_promote, ..to(100, settings.auto_promote) },
        }
    }

    fn stage(&self, is_there: bool) -> Rollout {
        match (is_there, self.is_due) {
            (true, true) if self.toward >= 100 => Rollout::Ready,
            (true, true) => Rollout::Share(u16::from(self.toward) * 100),
            (true, false) if self.waits => Rollout::Waiting,
            _ => Rollout::Rolling,
        }
    }
}

/// What there is of one version.
struct Version<'f> {
    starting: Vec<&'f InstanceRow>,
    ready: Vec<&'f InstanceRow>,
}

impl<'f> Version<'f> {
    fn of(fleet: &'f Fleet, is_its: impl Fn(&InstanceRow) -> bool) -> Self {
        let in_state = |state| fleet.instances.iter().filter(|row| row.state == state && is_its(row)).collect();
        Self { starting: in_state(InstanceState::Starting), ready: in_state(InstanceState::Ready) }
    }

    fn count(&self) -> usize {
        self.starting.len() + self.ready.len()
    }

    /// Starts what is missing, takes back what is beyond.
    fn towards(&self, deployment: &DeploymentId, wanted: usize, node: &str, changes: &mut Changes) {
        let missing = wanted.saturating_sub(self.count());
        changes.start.extend(std::iter::repeat_n((deployment.clone(), node.to_owned()), missing));
        take_back(&self.starting, &self.ready, wanted, changes);
    }
}

/// So many percent of the instances that are wanted, one at least.
fn part_of(wanted: usize, percent: u8) -> usize {
    (wanted * usize::from(percent)).div_ceil(100).max(1)
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

#[cfg(test)]
mod tests;
