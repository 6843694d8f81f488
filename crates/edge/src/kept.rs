//! Answers of other hosts that are kept, and who is asking for them at this moment.
//!
//! What may be kept and used is `skylift-cache`'s to say. Here is the one store of this edge, the rule that many who ask
//! for the same ask once, and that what was asked for before a purge is not kept after it.

pub(crate) mod config;
pub(crate) mod filling;
pub(crate) mod flights;
pub(crate) mod held;
pub(crate) mod purge;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use skylift_cache::{Found, Millis, Place, Purge, Store, Stored};

use crate::metrics::{Gauges, Metrics};
use config::CacheConfig;
use flights::Flights;
use held::Held;

/// Places that changed lately; beyond that, everything that is on its way counts as asked for too early.
const CHANGED_MAX: usize = 4096;

/// The kept answers of this edge.
pub(crate) struct Kept {
    inner: Mutex<Inner>,
    pub(crate) flights: Flights,
    pub(crate) config: CacheConfig,
    pub(crate) held: Held,
    metrics: Metrics,
}

struct Inner {
    store: Store,
    /// When something at a place was changed, as far as somebody may still be asking.
    changed: HashMap<Place, Millis>,
}

/// When an answer was asked for, as far as it decides whether it may be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskedAt {
    pub(crate) time: Millis,
    purges: u64,
}

impl Kept {
    pub(crate) fn new(config: CacheConfig, metrics: Metrics) -> Self {
        let inner = Inner { store: Store::new(config.bytes), changed: HashMap::new() };
        // As much again for what comes, and for what is still being sent though it is kept no longer.
        let held = Held::new(config.bytes.saturating_mul(2));
        Self { inner: Mutex::new(inner), flights: Flights::default(), config, held, metrics }
    }

    pub(crate) fn find(&self, place: &Place, behind: &str, request: &HeaderMap) -> Found {
        self.lock().store.find(place, behind, request)
    }

    /// The moment at which another host begins to be asked.
    pub(crate) fn asked_at(&self, time: Millis) -> AskedAt {
        AskedAt { time, purges: self.lock().store.purges() }
    }

    /// Keeps an answer, unless it was purged or changed since it was asked for.
    pub(crate) fn keep(&self, place: Place, behind: Arc<str>, stored: Stored, asked: AskedAt) -> Arc<Stored> {
        let mut inner = self.lock();
        let changed = inner.changed.get(&place).is_some_and(|changed| *changed >= asked.time);
        if changed || inner.store.purges() != asked.purges {
            return Arc::new(stored);
        }
        let stored = inner.store.insert(place, behind, stored);
        self.measure(&inner.store);
        stored
    }

    /// Drops what is kept for a place: it is no longer so.
    pub(crate) fn drop_changed(&self, place: Place, now: Millis) {
        let mut inner = self.lock();
        inner.store.remove(&place);
        if inner.changed.len() >= CHANGED_MAX {
            inner.changed.clear();
            inner.store.count_purge();
        }
        inner.changed.insert(place, now);
        self.measure(&inner.store);
    }

    /// Drops what is kept for a place, where a newer answer may not be.
    pub(crate) fn drop_outdated(&self, place: &Place) {
        let mut inner = self.lock();
        inner.store.remove(place);
        self.measure(&inner.store);
    }

    /// Drops what is meant of an app's answers; how many that were.
    pub(crate) fn purge(&self, app: &str, what: &Purge) -> u64 {
        let mut inner = self.lock();
        let dropped = inner.store.purge(app, what);
        self.measure(&inner.store);
        dropped
    }

    /// Drops everything.
    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        inner.store.clear();
        self.measure(&inner.store);
    }

    fn measure(&self, store: &Store) {
        let totals = store.totals();
        Gauges::set(&self.metrics.gauges().kept_answers, totals.answers);
        Gauges::set(&self.metrics.gauges().kept_bytes, totals.bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
