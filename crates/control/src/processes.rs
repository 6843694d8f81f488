//! The worker processes of an app: what is, what should be, and the next changes on the way there. Pure.
//!
//! They are those of what is live: old ones are stopped when another deployment is, and its own are started. Nobody speaks to
//! them, so nothing is drained.

use skylift_model::Timestamp;
use skylift_model::program::RELEASE;
use skylift_store::{Changes, Fleet, InstanceRow, NewBeside};

use crate::fleet::{Pace, is_after_restart};
use crate::release::is_up;

/// Plans the next changes; new instances are for `node`, where there is one. Also when to look again though nothing changes.
pub fn plan(fleet: &Fleet, pace: Pace, node: Option<&str>, now: Timestamp) -> (Changes, Option<Timestamp>) {
    let mut changes = Changes::default();
    let mut again_at: Option<Timestamp> = None;
    let workers = fleet.beside.instances.iter().filter(|row| is_worker(row) && is_up(row));
    let (current, old): (Vec<_>, Vec<_>) = workers.partition(|row| is_current(fleet, row, now));
    changes.stop.extend(old.into_iter().map(|row| row.id.clone()));
    for (process, wanted) in &fleet.beside.wanted {
        let wanted = *wanted as usize;
        let up: Vec<_> = current.iter().filter(|row| row.process == *process).collect();
        // The youngest go first: the old ones have proven themselves.
        changes.stop.extend(up.iter().skip(wanted).map(|row| row.id.clone()));
        let (Some(live), Some(node), true) = (&fleet.live, node, up.len() < wanted) else { continue };
        match free_again_at(fleet, process, pace, now) {
            Some(at) => again_at = Some(again_at.map_or(at, |sooner| sooner.min(at))),
            None => {
                let new = NewBeside { deployment: live.clone(), process: process.clone(), node: node.to_owned() };
                changes.start_beside.extend(std::iter::repeat_n(new, wanted - up.len()));
            }
        }
    }
    (changes, again_at)
}

fn is_current(fleet: &Fleet, row: &InstanceRow, now: Timestamp) -> bool {
    fleet.live.as_ref() == Some(&row.deployment)
        && is_after_restart(fleet, row, now)
        && !fleet.outdated.contains(&row.id)
        && fleet.beside.wanted.contains_key(&row.process)
}

/// Neither a release command nor one of its owner's, which come to an end by themselves.
fn is_worker(row: &InstanceRow) -> bool {
    row.process != RELEASE && row.command.is_none()
}

/// When the next one of a process may be started, where some of what is live have crashed; `None` where that is now.
fn free_again_at(fleet: &Fleet, process: &str, pace: Pace, now: Timestamp) -> Option<Timestamp> {
    let ours = fleet
        .beside
        .crashes
        .iter()
        .filter(|(of, crash)| of == process && Some(&crash.deployment) == fleet.live.as_ref());
    pace.free_again_at(ours.map(|(_, crash)| crash.at), now).filter(|at| *at > now)
}

#[cfg(test)]
mod tests;
