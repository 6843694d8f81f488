//! The instances of an app with a volume that bears one writer: what is, what should be, and the next changes. Pure.
//!
//! ```text
//! old serves ─▶ drains ─▶ stops ─▶ is gone ─▶ [release command] ─▶ new starts ─▶ answers
//! ```
//!
//! Nothing is ever started beside anything that has not ended, so for a moment nothing answers; requests wait at the edge. Who has the
//! volume is settled where it is mounted, whatever is planned here.

use skylift_model::rollout::RolloutState;
use skylift_model::{InstanceState, Timestamp};
use skylift_store::{Changes, Fleet, InstanceRow};

use crate::fleet::{
    NO_NODE, Next, Pace, Rollout, all_in, failed, free_again_at, is_current_of, lost_at, sooner, take_back,
};

/// Plans the next changes; a new instance is for `node`, where there is one.
pub(crate) fn plan(fleet: &Fleet, pace: Pace, node: Option<&str>, now: Timestamp) -> Next {
    let Some(current) = fleet.next.as_ref().or(fleet.live.as_ref()) else {
        return make_way(fleet);
    };
    let (ours, others): (Vec<_>, Vec<_>) =
        fleet.instances.iter().partition(|row| is_current_of(fleet, current, row, now));
    let of = |state| ours.iter().copied().filter(|row| row.state == state).collect::<Vec<&InstanceRow>>();
    let (starting, ready) = (of(InstanceState::Starting), of(InstanceState::Ready));
    // What goes live answers, however few are wanted.
    let wanted = fleet.wanted.clamp(u32::from(fleet.next.is_some()), 1) as usize;
    let mut next = Next { changes: Changes::default(), rollout: Rollout::None, again_at: None };
    if fleet.next.is_some() {
        next.rollout = match node {
            None => Rollout::Failed(NO_NODE.to_owned()),
            Some(_) => rollout(fleet, &starting, &ready, pace, now),
        };
        if next.rollout != Rollout::Rolling {
            return next;
        }
    } else {
        let late = starting.iter().filter(|row| now.since(row.created_at) >= pace.start);
        next.changes.stop.extend(late.map(|row| row.id.clone()));
        take_back(&starting, &ready, wanted, &mut next.changes);
    }
    leave(&others, &mut next.changes);
    if let Some(oldest) = starting.first() {
        sooner(&mut next.again_at, oldest.created_at.plus(pace.start));
    }
    if let Some(at) = lost_at(fleet, &ready) {
        sooner(&mut next.again_at, at);
    }
    let crashed = fleet.next.is_none().then(|| free_again_at(fleet, current, pace, now)).flatten();
    match (crashed.filter(|at| *at > now), node) {
        (Some(at), _) => sooner(&mut next.again_at, at),
        (None, Some(node)) if wanted > 0 && fleet.instances.is_empty() => {
            next.changes.start.push((current.clone(), node.to_owned()));
        }
        _ => {}
    }
    next
}

/// Has every instance end.
pub(crate) fn make_way(fleet: &Fleet) -> Next {
    let drain = all_in(fleet, InstanceState::Ready).collect();
    let stop = all_in(fleet, InstanceState::Starting).collect();
    Next { changes: Changes { drain, stop, ..Changes::default() }, rollout: Rollout::None, again_at: None }
}

/// Why what is next cannot be rolled out as it asks, in words: two versions side by side would be two writers.
pub(crate) fn refuses(fleet: &Fleet) -> Option<String> {
    let volume = fleet.one_writer.as_ref()?;
    let rollout = fleet.rollout.as_ref().filter(|rollout| rollout.is_side_by_side())?;
    Some(format!(
        "`{volume}` has one writer, and {} has two versions stand side by side; take `strategy` out of [rollout] in skylift.toml",
        rollout.strategy.as_str()
    ))
}

fn rollout(fleet: &Fleet, starting: &[&InstanceRow], ready: &[&InstanceRow], pace: Pace, now: Timestamp) -> Rollout {
    let is_held = fleet.rollout.as_ref().is_some_and(|rollout| rollout.state == RolloutState::Paused);
    match failed(fleet, starting, pace, now) {
        Some(why) => Rollout::Failed(why),
        None if !ready.is_empty() && !is_held => Rollout::Ready,
        None => Rollout::Rolling,
    }
}

fn leave(others: &[&InstanceRow], changes: &mut Changes) {
    for row in others {
        match row.state {
            InstanceState::Ready => changes.drain.push(row.id.clone()),
            InstanceState::Starting if !changes.stop.contains(&row.id) => changes.stop.push(row.id.clone()),
            InstanceState::Starting | InstanceState::Draining | InstanceState::Stopping | InstanceState::Ended => {}
        }
    }
}

#[cfg(test)]
mod tests;
