//! The targets of one app.
//!
//! A pick reads a snapshot and counts in atomics; whatever changes the snapshot takes a lock. A pick that began with the snapshot
//! before still cannot reach a target that is closed: the place it takes is refused (`load.rs`).

mod change;
mod silent;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use skylift_model::DeploymentId;
use skylift_model::program::Protocol;
use tokio::sync::Notify;

use crate::budget::RetryBudget;
use crate::choose::{Choice, NotChosen, choose};
use crate::in_flight::InFlight;
use crate::live::Live;
use crate::park::Lot;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::split::Split;
use crate::target::{State, Target, TargetId};
use crate::took::TOOK_BUCKETS;
use crate::traffic::{Passed, Traffic};

/// The targets of one app. Clones are the same group.
#[derive(Clone)]
pub struct Group(pub(crate) Arc<Inner>);

/// What a request wants of a pick.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// Who answered this client before; honoured while it may be picked.
    pub sticky: Option<&'a TargetId>,
    /// Who has failed this request: never asked again.
    pub tried: &'a [TargetId],
}

/// Why nobody was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    #[error("no instance is ready")]
    NoneReady,
    #[error("every instance has as many requests as it may have")]
    Full,
    #[error("every instance that is ready was tried")]
    AllTried,
}

/// How one target stands.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetStatus {
    pub target: Target,
    pub state: State,
    pub in_flight: u32,
    /// Peak-EWMA of the time to the head of an answer.
    pub latency: Option<Duration>,
    /// Requests of which something was recorded, since the target is known.
    pub answered: u64,
    /// Of them, those that ended in a server's error or none.
    pub errors: u64,
}

/// What the targets of one version have answered, of those that there are at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionCounts {
    pub version: DeploymentId,
    /// Requests of which something was recorded.
    pub answered: u64,
    /// Of them, those that ended in a server's error or none.
    pub errors: u64,
    /// The others by how long they took: see [`TOOK_BUCKETS`].
    pub took: [u64; TOOK_BUCKETS],
}

/// Counts of the whole group, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub ejections: u64,
    /// How often so few targets were available that all were used.
    pub failed_open: u64,
    /// Whether they are now.
    pub fails_open: bool,
    /// Requests that wait.
    pub parked: usize,
    /// What went through it.
    pub passed: Passed,
}

/// Whom a group tells what somebody may do something about.
pub trait Hooks: Send + Sync {
    /// A request begins to wait though no target is ready: somebody may start one.
    fn nobody(&self);
    /// A target is left alone for so long, because it owes answers and gives none: somebody may ask it, and tell
    /// [`Group::heard`] if it answers.
    fn silent(&self, group: &Group, target: &Target, lasts: Duration);
}

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    origin: Instant,
    snapshot: ArcSwap<Snapshot>,
    changing: Mutex<Changing>,
    turns: AtomicU64,
    pub(crate) lot: Arc<Lot>,
    pub(crate) traffic: Arc<Traffic>,
    /// Told what somebody may do something about.
    pub(crate) hooks: Option<Arc<dyn Hooks>>,
    /// Told when who may be picked has changed.
    pub(crate) changed: Notify,
    /// Requests that wait for a target that has not failed them.
    pub(crate) waiting_for_another: AtomicUsize,
    retries: RetryBudget,
    ejections: AtomicU64,
    failed_open: AtomicU64,
}

/// What the snapshot is made of.
#[derive(Default)]
struct Changing {
    members: Vec<Arc<Live>>,
    split: Option<Split>,
}

impl Group {
    /// A group without targets. `now` is where its time begins.
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self::made(settings, None, now)
    }

    /// One that tells what somebody may do something about.
    pub fn telling(settings: Settings, hooks: Arc<dyn Hooks>, now: Instant) -> Self {
        Self::made(settings, Some(hooks), now)
    }

    fn made(settings: Settings, hooks: Option<Arc<dyn Hooks>>, now: Instant) -> Self {
        let retries = RetryBudget::new(settings.retries, now);
        Self(Arc::new(Inner {
            settings,
            origin: now,
            snapshot: ArcSwap::from_pointee(Snapshot::empty()),
            changing: Mutex::default(),
            turns: AtomicU64::new(0),
            lot: Arc::default(),
            traffic: Arc::new(Traffic::new(now)),
            hooks,
            changed: Notify::new(),
            waiting_for_another: AtomicUsize::new(0),
            retries,
            ejections: AtomicU64::new(0),
            failed_open: AtomicU64::new(0),
        }))
    }

    /// Picks a target for one request and counts the request there, until the guard is dropped. `random` are 64 random bits.
    ///
    /// # Errors
    /// Where nobody can take it; [`Group::pick_or_wait`] waits for somebody.
    pub fn pick(&self, ask: &Ask<'_>, now: Instant, random: u64) -> Result<InFlight, NoTarget> {
        loop {
            let live = self.enter(ask, now, random)?;
            // Each turn leaves one more alone, which some of the others prevent at last.
            if !self.leaves_alone(&live, now) {
                return Ok(InFlight::new(live, now));
            }
            live.leave();
        }
    }

    /// Takes a place at whom the request goes to.
    fn enter(&self, ask: &Ask<'_>, now: Instant, random: u64) -> Result<Arc<Live>, NoTarget> {
        let inner = &*self.0;
        let at = inner.since_origin(now);
        let mut snapshot = inner.snapshot.load();
        if at >= snapshot.again_at {
            inner.take_back(at);
            snapshot = inner.snapshot.load();
        }
        let limits = inner.settings.limits;
        if let Some(live) = ask.sticky.filter(|id| !ask.tried.contains(id)).and_then(|id| snapshot.find(id))
            && live.load.try_enter(limits.hard)
        {
            return Ok(live.clone());
        }
        let slow_start = if at < snapshot.slow_until { inner.settings.slow_start_nanos() } else { None };
        let choice = Choice { limits, slow_start, tried: ask.tried, now: at, random };
        let mut full = false;
        for version in snapshot.in_turn(|| inner.turns.fetch_add(1, Ordering::Relaxed)) {
            match choose(version, &choice) {
                Ok(live) => return Ok(live.clone()),
                Err(NotChosen::Full) => full = true,
                Err(NotChosen::None) => {}
            }
        }
        Err(match (full, ask.tried.is_empty()) {
            (true, _) => NoTarget::Full,
            (false, true) => NoTarget::NoneReady,
            (false, false) => NoTarget::AllTried,
        })
    }

    /// What may be sent once more.
    pub fn retries(&self) -> &RetryBudget {
        &self.0.retries
    }

    /// The numbers it was made with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// How many targets may be picked.
    pub fn ready(&self) -> usize {
        self.0.snapshot.load().len()
    }

    /// Whether all that may be picked speak this.
    pub fn speaks_only(&self, protocol: Protocol) -> bool {
        let snapshot = self.0.snapshot.load();
        snapshot.all().all(|live| live.target.protocol == protocol)
    }

    /// Every target, in the order of the last update.
    pub fn status(&self, now: Instant) -> Vec<TargetStatus> {
        let at = self.0.since_origin(now);
        let changing = self.0.changing();
        let status = |live: &Arc<Live>| TargetStatus {
            target: Target { weight: live.weight.load(Ordering::Relaxed), ..live.target.clone() },
            state: live.state_at(at),
            in_flight: live.load.in_flight(),
            latency: live.latency.known(at).map(|nanos| Duration::from_nanos(nanos as u64)),
            answered: live.answered.load(Ordering::Relaxed),
            errors: live.errors.load(Ordering::Relaxed),
        };
        changing.members.iter().map(status).collect()
    }

    /// What each version has answered. The counts of a target leave with it.
    pub fn versions(&self) -> Vec<VersionCounts> {
        let mut versions: Vec<VersionCounts> = Vec::new();
        for live in &self.0.changing().members {
            let version = &live.target.deployment;
            let at = versions.iter().position(|known| known.version == *version);
            let new = || VersionCounts { version: version.clone(), answered: 0, errors: 0, took: [0; TOOK_BUCKETS] };
            let mut known = at.map_or_else(new, |at| versions.swap_remove(at));
            known.answered += live.answered.load(Ordering::Relaxed);
            known.errors += live.errors.load(Ordering::Relaxed);
            known.took.iter_mut().zip(live.took.counts()).for_each(|(sum, count)| *sum += count);
            versions.push(known);
        }
        versions
    }

    /// Counts of the whole group.
    pub fn totals(&self, now: Instant) -> Totals {
        Totals {
            ejections: self.0.ejections.load(Ordering::Relaxed),
            failed_open: self.0.failed_open.load(Ordering::Relaxed),
            fails_open: self.0.snapshot.load().fails_open,
            parked: self.0.lot.len() + self.0.waiting_for_another.load(Ordering::Relaxed),
            passed: self.0.traffic.passed(now),
        }
    }
}

impl Inner {
    /// Whether any of these may be picked.
    pub(crate) fn has_any(&self, targets: &[TargetId]) -> bool {
        let snapshot = self.snapshot.load();
        targets.iter().any(|id| snapshot.find(id).is_some())
    }

    /// Nanoseconds of the group's time.
    pub(crate) fn since_origin(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
