//! A target and what is counted of it. It stays the same through updates, and for as long as somebody has a request there.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::group::Inner;
use crate::health::Health;
use crate::latency::Latency;
use crate::load::{Left, Load};
use crate::park::Lot;
use crate::silence::Silence;
use crate::target::{Announced, State, Target};
use crate::took::Took;
use crate::traffic::Traffic;

/// Aligned, so that the counts of two targets do not share a cache line.
#[repr(align(128))]
pub(crate) struct Live {
    pub(crate) load: Load,
    pub(crate) latency: Latency,
    pub(crate) weight: AtomicU16,
    /// Failures in a row.
    pub(crate) strikes: AtomicU32,
    pub(crate) answered: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) silence: Silence,
    /// How long answers took that were no errors.
    pub(crate) took: Took,
    /// As it was first announced; its weight and announcement may have changed since.
    pub(crate) target: Target,
    pub(crate) standing: Mutex<Standing>,
    /// Told when it is closed and its last request has ended.
    pub(crate) drained: Notify,
    pub(crate) lot: Arc<Lot>,
    pub(crate) traffic: Arc<Traffic>,
    /// Gone where the group is.
    pub(crate) group: Weak<Inner>,
}

/// What changes rarely. Locked after the group's own lock, or alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) health: Health,
    /// Whether those who run it said last that it is unhealthy: then their word heals it, too.
    pub(crate) is_announced_unhealthy: bool,
    /// When it last became healthy, in nanoseconds of the group's time.
    pub(crate) healthy_since: u64,
    /// Until when it is ejected.
    pub(crate) ejected_until: Option<u64>,
    /// When the last ejection ended or will end.
    pub(crate) back_in_at: u64,
    /// Ejections that are not yet forgotten.
    pub(crate) ejections: u32,
}

impl Live {
    pub(crate) fn new(target: Target, latency: f32, now: u64, group: &Arc<Inner>) -> Self {
        let health = match target.announced {
            Announced::Starting => Health::Starting,
            Announced::Serving | Announced::Draining => Health::HEALTHY,
            Announced::Unhealthy => Health::Unhealthy { passed: 0 },
        };
        let is_announced_unhealthy = target.announced == Announced::Unhealthy;
        let load = Load::default();
        if target.announced == Announced::Draining {
            load.close();
        }
        let standing = Standing {
            health,
            is_announced_unhealthy,
            healthy_since: now,
            ejected_until: None,
            back_in_at: 0,
            ejections: 0,
        };
        Self {
            load,
            latency: Latency::new(latency, now),
            weight: AtomicU16::new(target.weight),
            strikes: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            silence: Silence::default(),
            took: Took::default(),
            target,
            standing: Mutex::new(standing),
            drained: Notify::new(),
            lot: group.lot.clone(),
            traffic: group.traffic.clone(),
            group: Arc::downgrade(group),
        }
    }

    /// Whether this is the same process: its counts go on.
    pub(crate) fn is(&self, target: &Target) -> bool {
        let own = &self.target;
        own.id == target.id
            && own.address == target.address
            && own.node == target.node
            && own.deployment == target.deployment
    }

    /// Takes over what is announced of it now; whether it was closed by that.
    pub(crate) fn announce(&self, target: &Target, now: u64) -> bool {
        self.weight.store(target.weight, Ordering::Relaxed);
        match target.announced {
            Announced::Draining => {
                let was_open = !self.load.is_closed();
                self.load.close();
                return was_open;
            }
            Announced::Serving => {
                let mut standing = self.standing();
                let is_healed = std::mem::take(&mut standing.is_announced_unhealthy);
                if standing.health == Health::Starting || is_healed {
                    (standing.health, standing.healthy_since) = (Health::HEALTHY, now);
                }
                self.reopen();
            }
            Announced::Unhealthy => {
                let mut standing = self.standing();
                (standing.health, standing.is_announced_unhealthy) = (Health::Unhealthy { passed: 0 }, true);
                self.reopen();
            }
            Announced::Starting => self.reopen(),
        }
        false
    }

    /// Gives a place back that a request had.
    pub(crate) fn leave(&self) {
        if self.load.leave() == Left::Drained {
            self.drained.notify_waiters();
        }
        self.lot.wake_if_any();
    }

    fn reopen(&self) {
        if self.load.is_closed() {
            self.load.open();
            self.drained.notify_waiters();
        }
    }

    /// How it stands at `now`.
    pub(crate) fn state_at(&self, now: u64) -> State {
        if self.load.is_closed() {
            return State::Draining;
        }
        let standing = *self.standing();
        match standing.health {
            Health::Starting => State::Starting,
            Health::Unhealthy { .. } => State::Unhealthy,
            Health::Healthy { .. } if standing.ejected_until.is_some_and(|until| until > now) => State::Ejected,
            Health::Healthy { .. } => State::Healthy,
        }
    }

    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
