//! What changes who may be picked: updates, checks, ejections and their end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Changing, Group, Inner};
use crate::drain::Drain;
use crate::eject::{lasts, may_eject};
use crate::health::{Health, Probe};
use crate::live::Live;
use crate::outcome::Ejected;
use crate::settings::nanos;
use crate::snapshot::{Snapshot, standing};
use crate::split::Split;
use crate::target::{Target, TargetId};

impl Group {
    /// Replaces the targets, all at once. Those that stay keep their counts, health and ejection; new ones begin with the middle
    /// latency of the others, so that they are not flooded. Of one id only the first target counts.
    ///
    /// Returned are those that get nothing more from here on, because they are draining or gone: once this has returned, no pick
    /// can reach them.
    pub fn update(&self, targets: Vec<Target>, split: Option<Split>, now: Instant) -> Vec<Drain> {
        let inner = &self.0;
        let at = inner.since_origin(now);
        let mut changing = inner.changing();
        let latency = middle_latency(&changing.members, at);
        let mut closed = Vec::new();
        let mut members: Vec<Arc<Live>> = Vec::with_capacity(targets.len());
        for target in targets {
            if members.iter().any(|live| live.target.id == target.id) {
                continue;
            }
            let known = changing.members.iter().find(|live| live.is(&target));
            let live = match known {
                Some(live) => {
                    if live.announce(&target, at) {
                        closed.push(Drain::new(live.clone()));
                    }
                    live.clone()
                }
                None => Arc::new(Live::new(target, latency, at, inner)),
            };
            members.push(live);
        }
        for gone in changing.members.iter().filter(|old| !members.iter().any(|live| Arc::ptr_eq(live, old))) {
            gone.load.close();
            closed.push(Drain::new(gone.clone()));
        }
        (changing.members, changing.split) = (members, split);
        inner.publish(&changing, at);
        closed
    }

    /// Takes in how an active check ended. Returns the health of the target where that changed it.
    pub fn probed(&self, id: &TargetId, probe: Probe, now: Instant) -> Option<Health> {
        let inner = &self.0;
        let at = inner.since_origin(now);
        let changing = inner.changing();
        let live = changing.members.iter().find(|live| live.target.id == *id)?;
        let middle = middle_latency(&changing.members, at);
        let (before, after) = {
            let mut standing = live.standing();
            let before = standing.health;
            standing.health = before.after(probe, &inner.settings.checks);
            if standing.health.is_healthy() && !before.is_healthy() {
                standing.healthy_since = at;
                // What its last failures made it cost is no longer true.
                live.latency.restart(middle, at);
                live.strikes.store(0, Ordering::Relaxed);
            }
            (before, standing.health)
        };
        if before.is_healthy() == after.is_healthy() {
            return None;
        }
        inner.publish(&changing, at);
        Some(after)
    }

    /// The health of a target, for who checks it.
    pub fn health(&self, id: &TargetId) -> Option<Health> {
        let changing = self.0.changing();
        let live = changing.members.iter().find(|live| live.target.id == *id)?;
        let health = live.standing().health;
        Some(health)
    }

    /// Closes a target for new requests, ahead of the update that will say so.
    pub fn drain(&self, id: &TargetId, now: Instant) -> Option<Drain> {
        let changing = self.0.changing();
        let live = changing.members.iter().find(|live| live.target.id == *id)?.clone();
        live.load.close();
        self.0.publish(&changing, self.0.since_origin(now));
        Some(Drain::new(live))
    }
}

impl Inner {
    /// Ejects a target, if the others allow it.
    pub(crate) fn eject(&self, live: &Arc<Live>, now: Instant) -> Option<Ejected> {
        self.eject_in(&self.changing(), live, self.since_origin(now))
    }

    pub(super) fn eject_in(&self, changing: &Changing, live: &Arc<Live>, at: u64) -> Option<Ejected> {
        let rules = &self.settings.ejection;
        let is_member = changing.members.iter().any(|member| Arc::ptr_eq(member, live));
        let before = *live.standing();
        let is_out = before.ejected_until.is_some_and(|until| until > at) || !before.health.is_healthy();
        if !is_member || is_out || live.load.is_closed() || !may_eject(standing(&changing.members, at), rules) {
            return None;
        }
        let was_long_in = at.saturating_sub(before.back_in_at) >= nanos(rules.longest);
        let ejections = if was_long_in { 1 } else { before.ejections.saturating_add(1) };
        let lasts = lasts(ejections, rules);
        let until = at.saturating_add(nanos(lasts));
        {
            let mut standing = live.standing();
            (standing.ejections, standing.ejected_until, standing.back_in_at) = (ejections, Some(until), until);
        }
        live.strikes.store(0, Ordering::Relaxed);
        self.ejections.fetch_add(1, Ordering::Relaxed);
        self.publish(changing, at);
        Some(Ejected { lasts })
    }

    /// Ends the ejections whose time is over. Whoever finds the lock taken goes on with the snapshot as it is.
    pub(super) fn take_back(&self, at: u64) {
        let Ok(changing) = self.changing.try_lock() else { return };
        let middle = middle_latency(&changing.members, at);
        for live in &changing.members {
            let mut standing = live.standing();
            if standing.ejected_until.is_some_and(|until| until <= at) {
                (standing.ejected_until, standing.healthy_since) = (None, at);
                live.latency.restart(middle, at);
                live.strikes.store(0, Ordering::Relaxed);
                live.silence.pause();
            }
        }
        self.publish(&changing, at);
    }

    pub(super) fn publish(&self, changing: &Changing, at: u64) {
        let snapshot = Snapshot::of(&changing.members, changing.split.as_ref(), &self.settings, at);
        if snapshot.fails_open && !self.snapshot.load().fails_open {
            self.failed_open.fetch_add(1, Ordering::Relaxed);
        }
        self.snapshot.store(Arc::new(snapshot));
        self.changed.notify_waiters();
        self.lot.wake_first();
    }
}

/// The middle one of the latencies that are known of targets in good standing; 0 where none is.
fn middle_latency(members: &[Arc<Live>], at: u64) -> f32 {
    let is_well = |live: &&Arc<Live>| {
        let standing = live.standing();
        standing.health.is_healthy() && standing.ejected_until.is_none()
    };
    let mut known: Vec<f32> = members.iter().filter(is_well).filter_map(|live| live.latency.known(at)).collect();
    known.sort_by(f32::total_cmp);
    known.get(known.len() / 2).copied().unwrap_or(0.0)
}
