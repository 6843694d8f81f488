//! A target and what is counted of it. It stays the same through updates, and for as long as somebody has a request there.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::group::Inner;
use crate::health::Health;
use crate::latency::Latency;
use crate::load::Load;
use crate::park::Lot;
use crate::target::{Announced, State, Target};

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
    /// As it was first announced; its weight and announcement may have changed since.
    pub(crate) target: Target,
    pub(crate) standing: Mutex<Standing>,
    /// Told when it is closed and its last request has ended.
    pub(crate) drained: Notify,
    pub(crate) lot: Arc<Lot>,
    /// Gone where the group is.
    pub(crate) group: Weak<Inner>,
}

/// What changes rarely. Locked after the group's own lock, or alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) health: Health,
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
    pub(crate) fn new(target: Target, latency: f32, now: u64, lot: &Arc<Lot>, group: Weak<Inner>) -> Self {
        let health = match target.announced {
            Announced::Starting => Health::Starting,
            Announced::Serving | Announced::Draining => Health::HEALTHY,
        };
        let load = Load::default();
        if target.announced == Announced::Draining {
            load.close();
        }
        let standing = Standing { health, healthy_since: now, ejected_until: None, back_in_at: 0, ejections: 0 };
        Self {
            load,
            latency: Latency::new(latency, now),
            weight: AtomicU16::new(target.weight),
            strikes: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            target,
            standing: Mutex::new(standing),
            drained: Notify::new(),
            lot: lot.clone(),
            group,
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
                if standing.health == Health::Starting {
                    (standing.health, standing.healthy_since) = (Health::HEALTHY, now);
                }
                self.reopen();
            }
            Announced::Starting => self.reopen(),
        }
        false
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
