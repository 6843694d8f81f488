//! Which app holds how much of the budget, and in which order it gives that up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Place;

/// What every app holds.
#[derive(Default)]
pub(super) struct Shares {
    apps: HashMap<Arc<str>, Share>,
    /// The app that holds the most is the last one.
    by_bytes: BTreeSet<(u64, Arc<str>)>,
    bytes: u64,
}

/// What one app holds.
#[derive(Default)]
struct Share {
    bytes: u64,
    /// The least recently used first.
    order: BTreeMap<u64, Place>,
}

impl Shares {
    /// What all of them hold.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A place, last used at `tick`, holds so many bytes.
    pub(super) fn enter(&mut self, place: Place, tick: u64, bytes: u64) {
        let app = place.app.clone();
        self.apps.entry(app.clone()).or_default().order.insert(tick, place);
        self.weigh(&app, |held| held + bytes);
        self.bytes += bytes;
    }

    /// The place of an app that was last used at `tick` holds nothing any more.
    pub(super) fn leave(&mut self, app: &Arc<str>, tick: u64, bytes: u64) {
        if let Some(share) = self.apps.get_mut(app)
            && share.order.remove(&tick).is_some()
        {
            self.weigh(app, |held| held - bytes);
            self.bytes -= bytes;
        }
    }

    /// The place of an app that was last used at `before` was used.
    pub(super) fn touch(&mut self, app: &Arc<str>, before: u64, tick: u64) {
        if let Some(share) = self.apps.get_mut(app)
            && let Some(place) = share.order.remove(&before)
        {
            share.order.insert(tick, place);
        }
    }

    /// What the app that holds the most used longest ago.
    pub(super) fn next_to_go(&self) -> Option<&Place> {
        let (_, app) = self.by_bytes.last()?;
        self.apps.get(app)?.order.values().next()
    }

    fn weigh(&mut self, app: &Arc<str>, change: impl FnOnce(u64) -> u64) {
        let Some(share) = self.apps.get_mut(app) else { return };
        self.by_bytes.remove(&(share.bytes, app.clone()));
        share.bytes = change(share.bytes);
        if share.order.is_empty() {
            self.apps.remove(app);
        } else {
            self.by_bytes.insert((share.bytes, app.clone()));
        }
    }

    /// How many places they hold, and how many bytes those are said to be.
    #[cfg(test)]
    pub(super) fn counted(&self) -> (usize, u64) {
        let by_bytes: u64 = self.by_bytes.iter().map(|(bytes, _)| bytes).sum();
        assert_eq!((by_bytes, self.by_bytes.len()), (self.bytes, self.apps.len()));
        (self.apps.values().map(|share| share.order.len()).sum(), self.bytes)
    }
}
