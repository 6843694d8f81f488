//! The instances of an app: what is, what should be, and the next changes on the way there. Pure.
//!
//! As many as are wanted of what is live or is about to be, the crashed ones replaced ever more slowly. While instances of
//! other deployments serve, new ones come one at a time; once one answers, one of the others goes. When all that are wanted
//! of a deployment that is about to be live answer, it goes live. A rollback is the same with what is live.

use std::time::Duration;

use skylift_model::restart::Backoff;
use skylift_model::rollout::{RolloutSettings, RolloutState};
use skylift_model::{DeploymentId, InstanceId, InstanceState, Timestamp};
use skylift_store::{Changes, Fleet, InstanceRow};

use crate::one_writer;

/// How instances are started and replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How many more than wanted there may be while a new deployment replaces an old one.
    pub surge: u32,
    /// How long it is waited then, once a new one answers, before the next is started.
    pub pause: Duration,
    /// How long an instance may take to answer.
    pub start: Duration,
    /// How long the first one that crashed is waited with; the next twice as long, and so on.
    pub backoff: Duration,
    /// The longest such wait.
    pub backoff_max: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            surge: 1,
            pause: Duration::ZERO,
            start: Duration::from_secs(60),
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
        }
    }
}

impl Pace {
    /// As the deployment says that it is to be rolled out; all at once where its owner has no more patience. Only the way forward
    /// pauses: whoever goes back wants to be there.
    fn said_by(self, settings: &RolloutSettings, state: Option<RolloutState>) -> Self {
        let pause = Duration::from_secs(u64::from(settings.pause_between_seconds));
        match state {
            Some(RolloutState::Promoted) => Self { surge: u32::MAX, pause: Duration::ZERO, ..self },
            Some(_) => Self { surge: settings.max_surge.max(1), pause, ..self },
            None => Self { surge: settings.max_surge.max(1), ..self },
        }
    }

    /// How long what crashed is waited with.
    pub(crate) fn backoff(self) -> Backoff {
        Backoff { first: self.backoff, max: self.backoff_max }
    }

    /// When the next may be started, after these ends, newest first. One that is further ahead than the longest wait was told by a
    /// clock that somebody has set back since: it says nothing any more.
    pub(crate) fn free_again_at(self, ends: impl Iterator<Item = Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let latest = now.plus(self.backoff_max);
        self.backoff().next_start(ends.filter(|end| *end <= latest))
    }
}

/// Why nothing can be started.
pub(crate) const NO_NODE: &str = "there is no process with the role `work` beside the one with the role `deploy`";

/// How far a rollout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// There is none.
    None,
    /// Under way.
    Rolling,
    /// The new version may have that share of the app's requests, in hundredths of a percent.
    Share(u16),
    /// All that is wanted answers, and its owner is waited for.
    Waiting,
    /// All that is wanted of the new deployment answers: it may go live.
    Ready,
    /// It never will, in words.
    Failed(String),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    pub changes: Changes,
    pub rollout: Rollout,
    /// When to look again though nothing changes.
    pub again_at: Option<Timestamp>,
}

/// Plans the next changes of a fleet, one instance after the other; new instances are for `node`, where there is one.
pub fn plan(fleet: &Fleet, pace: Pace, node: Option<&str>, now: Timestamp) -> Next {
    let mut next = Next { changes: Changes::default(), rollout: Rollout::None, again_at: None };
    if fleet.one_writer.is_some() {
        return one_writer::plan(fleet, pace, node, now);
    }
    let Some(current) = fleet.next.as_ref().or(fleet.live.as_ref()) else {
        next.changes.drain.extend(all_in(fleet, InstanceState::Ready));
        next.changes.stop.extend(all_in(fleet, InstanceState::Starting));
        return next;
    };
    let seen = Seen::of(fleet, current, now);
    let state = fleet.rollout.as_ref().map(|rollout| rollout.state);
    let (pace, is_held) = (pace.said_by(&fleet.settings, state), state == Some(RolloutState::Paused));
    if fleet.next.is_some() {
        next.rollout =
            if node.is_some() { rollout(fleet, &seen, pace, now) } else { Rollout::Failed(NO_NODE.to_owned()) };
        if is_held && next.rollout == Rollout::Ready {
            next.rollout = Rollout::Rolling;
        }
        if next.rollout != Rollout::Rolling {
            return next;
        }
    } else {
        // Whoever was to be live and is not, or is no longer, and has not answered yet.
        next.changes.stop.extend(seen.others_starting.iter().map(|row| row.id.clone()));
        let late = seen.starting.iter().filter(|row| now.since(row.created_at) >= pace.start);
        next.changes.stop.extend(late.map(|row| row.id.clone()));
        take_back(&seen.starting, &seen.ready, seen.wanted, &mut next.changes);
    }
    let crashed = fleet.next.is_none().then(|| free_again_at(fleet, current, pace, now)).flatten();
    match crashed.max(seen.goes_on_at(pace)).filter(|at| *at > now) {
        Some(at) => next.again_at = Some(at),
        None if is_held => {}
        None => next.changes.start.extend(
            node.into_iter().flat_map(|node| std::iter::repeat_n((current.clone(), node.to_owned()), seen.room(pace))),
        ),
    }
    if let (Some(live), Some(node), true) = (&fleet.live, node, fleet.next.is_some()) {
        // What was live goes on, whole, until the new ones answer.
        let gone = seen.wanted.saturating_sub(seen.ready.len() + seen.others.len() + seen.others_starting.len());
        match free_again_at(fleet, live, pace, now) {
            Some(at) if gone > 0 => sooner(&mut next.again_at, at),
            _ => next.changes.start.extend(std::iter::repeat_n((live.clone(), node.to_owned()), gone)),
        }
    }
    let spare = if is_held { 0 } else { seen.spare() };
    next.changes.drain.extend(seen.others.iter().take(spare).map(|row| row.id.clone()));
    if let Some(oldest) = seen.starting.first() {
        sooner(&mut next.again_at, oldest.created_at.plus(pace.start));
    }
    if let Some(at) = lost_at(fleet, &seen.ready) {
        sooner(&mut next.again_at, at);
    }
    if fleet.restarted_at > now {
        sooner(&mut next.again_at, fleet.restarted_at);
    }
    next
}

/// What there is of the deployment that should be there, and of all others.
struct Seen<'f> {
    wanted: usize,
    starting: Vec<&'f InstanceRow>,
    ready: Vec<&'f InstanceRow>,
    /// Ready ones of other deployments, which serve until these do.
    others: Vec<&'f InstanceRow>,
    others_starting: Vec<&'f InstanceRow>,
}

impl<'f> Seen<'f> {
    fn of(fleet: &'f Fleet, current: &DeploymentId, now: Timestamp) -> Self {
        let of = |is_current: bool, state| {
            let wanted =
                |row: &&InstanceRow| is_current_of(fleet, current, row, now) == is_current && row.state == state;
            fleet.instances.iter().filter(wanted).collect()
        };
        // What goes live answers, however few are wanted.
        let least = u32::from(fleet.next.is_some());
        Self {
            wanted: fleet.wanted.max(least) as usize,
            starting: of(true, InstanceState::Starting),
            ready: of(true, InstanceState::Ready),
            others: of(false, InstanceState::Ready),
            others_starting: of(false, InstanceState::Starting),
        }
    }

    /// How many may be started now: one after the other while others serve, else all at once.
    fn room(&self, pace: Pace) -> usize {
        let missing = self.wanted.saturating_sub(self.starting.len() + self.ready.len());
        if self.others.is_empty() {
            return missing;
        }
        let surge = pace.surge.max(1) as usize;
        let alive = self.starting.len() + self.ready.len() + self.others.len() + self.others_starting.len();
        missing
            .min(surge.saturating_sub(self.starting.len()))
            .min(self.wanted.saturating_add(surge).saturating_sub(alive))
    }

    /// When the next one may be started beside others, where it is to be waited for.
    fn goes_on_at(&self, pace: Pace) -> Option<Timestamp> {
        if pace.pause.is_zero() || self.others.is_empty() {
            return None;
        }
        let last = self.ready.iter().filter_map(|row| row.ready_at).max()?;
        Some(last.plus(pace.pause))
    }

    /// How many of the others may go.
    fn spare(&self) -> usize {
        (self.ready.len() + self.others.len()).saturating_sub(self.wanted).min(self.others.len())
    }
}

/// Whether an instance is one of those that should be: one from before a restart, or from another template, or that stays
/// unhealthy, is as good as another deployment's.
pub(crate) fn is_current_of(fleet: &Fleet, current: &DeploymentId, row: &InstanceRow, now: Timestamp) -> bool {
    let is_lost = || fleet.unhealthy_for.zip(row.unhealthy_since).is_some_and(|(most, since)| now.since(since) >= most);
    let is_fresh = || is_after_restart(fleet, row, now) && !fleet.outdated.contains(&row.id) && !is_lost();
    row.deployment == *current && (fleet.next.is_some() || is_fresh())
}

/// Whether an instance was made after the last restart. Where the clock was set back since, that is ahead, and all would be of before it,
/// the newest too: then it waits until its time has come again.
pub(crate) fn is_after_restart(fleet: &Fleet, row: &InstanceRow, now: Timestamp) -> bool {
    fleet.restarted_at > now || row.created_at >= fleet.restarted_at
}

/// When the first of these, which are as they should be until then, will have been unhealthy for too long.
pub(crate) fn lost_at(fleet: &Fleet, rows: &[&InstanceRow]) -> Option<Timestamp> {
    let most = fleet.unhealthy_for.filter(|_| fleet.next.is_none())?;
    rows.iter().filter_map(|row| row.unhealthy_since).min().map(|since| since.plus(most))
}

/// How far the rollout of what is next is.
fn rollout(fleet: &Fleet, seen: &Seen<'_>, pace: Pace, now: Timestamp) -> Rollout {
    match failed(fleet, &seen.starting, pace, now) {
        Some(why) => Rollout::Failed(why),
        None if seen.ready.len() >= seen.wanted => Rollout::Ready,
        None => Rollout::Rolling,
    }
}

/// Why what is next never will be live, where that is so.
pub(crate) fn failed(fleet: &Fleet, starting: &[&InstanceRow], pace: Pace, now: Timestamp) -> Option<String> {
    if let Some(crash) = fleet.crashes.iter().find(|crash| Some(&crash.deployment) == fleet.next.as_ref()) {
        return Some(crash.reason.clone());
    }
    let is_late = starting.first().is_some_and(|oldest| now >= oldest.created_at.plus(pace.start));
    let why = starting.first().and_then(|oldest| oldest.reason.as_deref());
    is_late.then(|| match (pace.start.as_secs(), why) {
        (seconds, Some(why)) => format!("an instance was not ready within {seconds} s: {why}"),
        (seconds, None) => {
            format!("an instance was not ready within {seconds} s; its log says what it did not answer")
        }
    })
}

/// More than are wanted. The youngest go first: the old ones have proven themselves.
pub(crate) fn take_back(starting: &[&InstanceRow], ready: &[&InstanceRow], wanted: usize, changes: &mut Changes) {
    let beyond = (starting.len() + ready.len()).saturating_sub(wanted);
    let unasked: Vec<_> = starting.iter().rev().take(beyond).collect();
    changes.drain.extend(ready.iter().rev().take(beyond - unasked.len()).map(|row| row.id.clone()));
    for row in unasked {
        if !changes.stop.contains(&row.id) {
            changes.stop.push(row.id.clone());
        }
    }
}

pub(crate) fn all_in(fleet: &Fleet, state: InstanceState) -> impl Iterator<Item = InstanceId> + '_ {
    fleet.instances.iter().filter(move |row| row.state == state).map(|row| row.id.clone())
}

/// When the next instance may be started, where some have crashed; `None` where that is now.
pub(crate) fn free_again_at(fleet: &Fleet, deployment: &DeploymentId, pace: Pace, now: Timestamp) -> Option<Timestamp> {
    let crashes = fleet.crashes.iter().filter(|crash| crash.deployment == *deployment).map(|crash| crash.at);
    pace.free_again_at(crashes, now).filter(|at| *at > now)
}

pub(crate) fn sooner(at: &mut Option<Timestamp>, other: Timestamp) {
    *at = Some(at.map_or(other, |at| at.min(other)));
}

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod tests;
