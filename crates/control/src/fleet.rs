//! The instances of an app: what is, what should be, and the next changes on the way there. Pure.
//!
//! As many as are wanted of what is live or is about to be, the crashed ones replaced ever more slowly. While instances of
//! other deployments serve, new ones come one at a time; once one answers, one of the others goes. When all that are wanted
//! of a deployment that is about to be live answer, it goes live. A rollback is the same with what is live.

use std::time::Duration;

use skylift_model::{DeploymentId, InstanceId, InstanceState, Timestamp};
use skylift_store::{Changes, Fleet, InstanceRow};

/// How instances are started and replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How many more than wanted there may be while a new deployment replaces an old one.
    pub surge: u32,
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
            start: Duration::from_secs(60),
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
        }
    }
}

/// Why nothing can be started.
const NO_NODE: &str = "there is no process with the role `work` beside the one with the role `deploy`";

/// How far a rollout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// There is none.
    None,
    /// Under way.
    Rolling,
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

/// Plans the next changes of a fleet; new instances are for `node`, where there is one.
pub fn plan(fleet: &Fleet, pace: Pace, node: Option<&str>, now: Timestamp) -> Next {
    let mut next = Next { changes: Changes::default(), rollout: Rollout::None, again_at: None };
    let Some(current) = fleet.next.as_ref().or(fleet.live.as_ref()) else {
        next.changes.drain.extend(all_in(fleet, InstanceState::Ready));
        next.changes.stop.extend(all_in(fleet, InstanceState::Starting));
        return next;
    };
    let seen = Seen::of(fleet, current);
    if fleet.next.is_some() {
        next.rollout =
            if node.is_some() { rollout(fleet, &seen, pace, now) } else { Rollout::Failed(NO_NODE.to_owned()) };
        if next.rollout != Rollout::Rolling {
            return next;
        }
    } else {
        // Whoever was to be live and is not, or is no longer, and has not answered yet.
        next.changes.stop.extend(seen.others_starting.iter().map(|row| row.id.clone()));
        let late = seen.starting.iter().filter(|row| now.since(row.created_at) >= pace.start);
        next.changes.stop.extend(late.map(|row| row.id.clone()));
        take_back(&seen, &mut next.changes);
    }
    match fleet.next.is_none().then(|| free_again_at(fleet, current, pace)).flatten().filter(|at| *at > now) {
        Some(at) => next.again_at = Some(at),
        None => next.changes.start.extend(
            node.into_iter().flat_map(|node| std::iter::repeat_n((current.clone(), node.to_owned()), seen.room(pace))),
        ),
    }
    if let (Some(live), Some(node), true) = (&fleet.live, node, fleet.next.is_some()) {
        // What was live goes on, whole, until the new ones answer.
        let gone = seen.wanted.saturating_sub(seen.ready.len() + seen.others.len() + seen.others_starting.len());
        match free_again_at(fleet, live, pace).filter(|at| *at > now) {
            Some(at) if gone > 0 => sooner(&mut next.again_at, at),
            _ => next.changes.start.extend(std::iter::repeat_n((live.clone(), node.to_owned()), gone)),
        }
    }
    next.changes.drain.extend(seen.others.iter().take(seen.spare()).map(|row| row.id.clone()));
    if let Some(oldest) = seen.starting.first() {
        sooner(&mut next.again_at, oldest.created_at.plus(pace.start));
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
    fn of(fleet: &'f Fleet, current: &DeploymentId) -> Self {
        let of = |is_current: bool, state| {
            let wanted = |row: &&InstanceRow| (row.deployment == *current) == is_current && row.state == state;
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
        missing.min(surge.saturating_sub(self.starting.len())).min((self.wanted + surge).saturating_sub(alive))
    }

    /// How many of the others may go.
    fn spare(&self) -> usize {
        (self.ready.len() + self.others.len()).saturating_sub(self.wanted).min(self.others.len())
    }
}

/// How far the rollout of what is next is.
fn rollout(fleet: &Fleet, seen: &Seen<'_>, pace: Pace, now: Timestamp) -> Rollout {
    if let Some(crash) = fleet.crashes.iter().find(|crash| Some(&crash.deployment) == fleet.next.as_ref()) {
        return Rollout::Failed(crash.reason.clone());
    }
    if seen.starting.first().is_some_and(|oldest| now >= oldest.created_at.plus(pace.start)) {
        let seconds = pace.start.as_secs();
        return Rollout::Failed(format!("an instance did not answer on its PORT within {seconds} s"));
    }
    if seen.ready.len() >= seen.wanted { Rollout::Ready } else { Rollout::Rolling }
}

/// More than are wanted. The youngest go first: the old ones have proven themselves.
fn take_back(seen: &Seen<'_>, changes: &mut Changes) {
    let beyond = (seen.starting.len() + seen.ready.len()).saturating_sub(seen.wanted);
    let unasked: Vec<_> = seen.starting.iter().rev().take(beyond).collect();
    changes.drain.extend(seen.ready.iter().rev().take(beyond - unasked.len()).map(|row| row.id.clone()));
    for row in unasked {
        if !changes.stop.contains(&row.id) {
            changes.stop.push(row.id.clone());
        }
    }
}

fn all_in(fleet: &Fleet, state: InstanceState) -> impl Iterator<Item = InstanceId> + '_ {
    fleet.instances.iter().filter(move |row| row.state == state).map(|row| row.id.clone())
}

/// When the next instance may be started, where some have crashed.
fn free_again_at(fleet: &Fleet, deployment: &DeploymentId, pace: Pace) -> Option<Timestamp> {
    let mut crashes = fleet.crashes.iter().filter(|crash| crash.deployment == *deployment).map(|crash| crash.at);
    let newest = crashes.next()?;
    let earlier = u32::try_from(crashes.count()).unwrap_or(u32::MAX).min(16);
    Some(newest.plus((pace.backoff * 2_u32.pow(earlier)).min(pace.backoff_max)))
}

fn sooner(at: &mut Option<Timestamp>, other: Timestamp) {
    *at = Some(at.map_or(other, |at| at.min(other)));
}

#[cfg(test)]
mod tests;
