//! The instances of an app: what is, what should be, and the next changes on the way there. Pure.
//!
//! Without a rollout: as many as are wanted, the crashed ones replaced ever more slowly. In a rollout: one new instance
//! at a time; once it answers, an old one goes; when all are new, the deployment goes live.

use std::time::Duration;

use skylift_model::{DeploymentId, InstanceState, Timestamp};
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

/// Plans the next changes of a fleet; new instances are for `node`.
pub fn plan(fleet: &Fleet, pace: Pace, node: &str, now: Timestamp) -> Next {
    let mut next = Next { changes: Changes::default(), rollout: Rollout::None, again_at: None };
    match (&fleet.next, &fleet.live) {
        (Some(new), live) => roll(fleet, new, live.as_ref(), pace, node, now, &mut next),
        (None, Some(live)) => hold(fleet, live, pace, node, now, &mut next),
        (None, None) => {}
    }
    clear_out(fleet, &mut next.changes);
    next
}

/// Instances of what is neither live nor next.
fn clear_out(fleet: &Fleet, changes: &mut Changes) {
    let is_current =
        |row: &InstanceRow| [&fleet.live, &fleet.next].into_iter().flatten().any(|id| *id == row.deployment);
    for row in fleet.instances.iter().filter(|row| !is_current(row)) {
        match row.state {
            InstanceState::Ready => changes.drain.push(row.id.clone()),
            InstanceState::Starting => changes.stop.push(row.id.clone()),
            _ => {}
        }
    }
}

/// As many as are wanted.
fn hold(fleet: &Fleet, live: &DeploymentId, pace: Pace, node: &str, now: Timestamp, next: &mut Next) {
    let (starting, ready) = (of(fleet, live, InstanceState::Starting), of(fleet, live, InstanceState::Ready));
    let (alive, wanted) = (starting.len() + ready.len(), fleet.wanted as usize);
    for late in starting.iter().filter(|row| now.since(row.created_at) >= pace.start) {
        next.changes.stop.push(late.id.clone());
    }
    if alive < wanted {
        match free_again_at(fleet, live, pace).filter(|at| *at > now) {
            Some(at) => next.again_at = Some(at),
            None => next.changes.start.extend((alive..wanted).map(|_| (live.clone(), node.to_owned()))),
        }
    }
    // The youngest go first: the old ones have proven themselves.
    let beyond = alive.saturating_sub(wanted);
    let unasked = starting.iter().rev().take(beyond);
    let stopped = unasked.len();
    next.changes.stop.extend(unasked.map(|row| row.id.clone()));
    next.changes.drain.extend(ready.iter().rev().take(beyond - stopped).map(|row| row.id.clone()));
    next.changes.stop.dedup();
    if let Some(oldest) = starting.first() {
        sooner(&mut next.again_at, oldest.created_at.plus(pace.start));
    }
}

/// One step of a rollout.
fn roll(
    fleet: &Fleet,
    new: &DeploymentId,
    live: Option<&DeploymentId>,
    pace: Pace,
    node: &str,
    now: Timestamp,
    next: &mut Next,
) {
    let wanted = fleet.wanted.max(1) as usize;
    let (starting, ready) = (of(fleet, new, InstanceState::Starting), of(fleet, new, InstanceState::Ready));
    let old = live.map_or_else(Vec::new, |live| of(fleet, live, InstanceState::Ready));
    next.rollout = Rollout::Rolling;
    if let Some(crash) = fleet.crashes.iter().find(|crash| crash.deployment == *new) {
        next.rollout = Rollout::Failed(crash.reason.clone());
        return;
    }
    if let Some(oldest) = starting.first() {
        let late_at = oldest.created_at.plus(pace.start);
        if now >= late_at {
            let seconds = pace.start.as_secs();
            next.rollout = Rollout::Failed(format!("an instance did not answer on its PORT within {seconds} s"));
            return;
        }
        sooner(&mut next.again_at, late_at);
    }
    if ready.len() >= wanted {
        next.rollout = Rollout::Ready;
        return;
    }
    let old_starting = live.map_or(0, |live| of(fleet, live, InstanceState::Starting).len());
    let alive = ready.len() + starting.len() + old.len() + old_starting;
    // Nobody is served by what is not live: all may start at once.
    let at_once = if old.is_empty() { wanted } else { pace.surge.max(1) as usize };
    let room = (wanted + if old.is_empty() { 0 } else { pace.surge.max(1) as usize }).saturating_sub(alive);
    let missing = wanted - ready.len();
    let count = missing.saturating_sub(starting.len()).min(at_once.saturating_sub(starting.len())).min(room);
    next.changes.start.extend((0..count).map(|_| (new.clone(), node.to_owned())));
    let spare = (ready.len() + old.len()).saturating_sub(wanted);
    next.changes.drain.extend(old.iter().take(spare).map(|row| row.id.clone()));
}

/// Instances of a deployment in a state, oldest first.
fn of<'f>(fleet: &'f Fleet, deployment: &DeploymentId, state: InstanceState) -> Vec<&'f InstanceRow> {
    fleet.instances.iter().filter(|row| row.deployment == *deployment && row.state == state).collect()
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
