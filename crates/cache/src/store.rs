//! Where answers are kept: in memory, within a budget of bytes. Where there is no room, the app that holds the most gives up
//! what it used longest ago: so one that holds no more than an even share loses nothing to others.
//!
//! An answer is found by its place: the deployment that asked, the address it was asked at, and the address behind. So
//! no release, scheme, host or rule of a site gets what another one was answered.

mod shares;

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;

use crate::stored::Stored;
use shares::Shares;

/// Answers to one place that differ by what the request has; more push out the oldest.
const VARIANTS_MAX: usize = 32;

/// What an answer is kept for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Whose it is: named to be purged.
    pub app: Arc<str>,
    /// The deployment, and how often the app has gone live: going live again, or back, finds nothing.
    pub release: (Arc<str>, u64),
    /// `http` or `https`.
    pub scheme: &'static str,
    pub host: Arc<str>,
    /// As asked for, with its query.
    pub path: Arc<str>,
}

/// The kept answers.
pub struct Store {
    slots: HashMap<Place, Slot>,
    /// Which app holds how much, and what it used longest ago.
    shares: Shares,
    tick: u64,
    bytes_max: u64,
    /// Grows with every purge.
    purges: u64,
}

#[derive(Default)]
struct Slot {
    tick: u64,
    /// The newest last.
    variants: Vec<Variant>,
}

struct Variant {
    /// The address behind, and what the site's rule adds to a request.
    behind: Arc<str>,
    stored: Arc<Stored>,
    bytes: u64,
}

/// What was found for a request.
#[derive(Clone, Debug)]
pub enum Found {
    Hit(Arc<Stored>),
    /// Something is kept for the address, but for other requests.
    Other,
    Nothing,
}

/// What to drop of an app's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// All of them.
    Everything,
    /// Those of a path, whatever their query; of all paths that begin so, where it ends in `*`.
    Path(String),
    /// Those that name themselves so.
    Tag(String),
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub answers: u64,
    pub bytes: u64,
}

impl Store {
    /// One that keeps at most so many bytes.
    pub fn new(bytes_max: u64) -> Self {
        Self { slots: HashMap::new(), shares: Shares::default(), tick: 0, bytes_max, purges: 0 }
    }

    /// The newest answer that fits a request.
    pub fn find(&mut self, place: &Place, behind: &str, request: &HeaderMap) -> Found {
        let tick = self.next_tick();
        let Some(slot) = self.slots.get_mut(place) else { return Found::Nothing };
        let mut of_this = slot.variants.iter().rev().filter(|variant| *variant.behind == *behind).peekable();
        if of_this.peek().is_none() {
            return Found::Nothing;
        }
        let Some(found) = of_this.find(|variant| variant.stored.selecting.fits(request)) else { return Found::Other };
        let found = found.stored.clone();
        self.shares.touch(&place.app, slot.tick, tick);
        slot.tick = tick;
        Found::Hit(found)
    }

    /// How often something was purged: an answer asked for before a purge must not be kept after it.
    pub fn purges(&self) -> u64 {
        self.purges
    }

    /// Has everything that was asked for before count as asked for too early.
    pub fn count_purge(&mut self) {
        self.purges += 1;
    }

    /// Keeps an answer, in the place of those for the same requests. One that is larger than a quarter of the budget is
    /// not kept.
    pub fn insert(&mut self, place: Place, behind: Arc<str>, stored: Stored) -> Arc<Stored> {
        let stored = Arc::new(stored);
        let bytes = (stored.bytes() + 2 * place.bytes() + behind.len()) as u64;
        if bytes > self.bytes_max / 4 {
            self.remove(&place);
            return stored;
        }
        let tick = self.next_tick();
        let slot = self.slots.entry(place.clone()).or_default();
        if !slot.variants.is_empty() {
            self.shares.leave(&place.app, slot.tick, slot.bytes());
        }
        slot.tick = tick;
        slot.variants.retain(|variant| variant.behind != behind || variant.stored.selecting != stored.selecting);
        if slot.variants.len() >= VARIANTS_MAX {
            slot.variants.remove(0);
        }
        slot.variants.push(Variant { behind, stored: stored.clone(), bytes });
        self.shares.enter(place, tick, slot.bytes());
        while self.shares.bytes() > self.bytes_max {
            let Some(place) = self.shares.next_to_go().cloned() else { break };
            self.remove(&place);
        }
        stored
    }

    /// Drops what is kept for a place.
    pub fn remove(&mut self, place: &Place) {
        if let Some(slot) = self.slots.remove(place) {
            self.shares.leave(&place.app, slot.tick, slot.bytes());
        }
    }

    /// Drops what is meant; how many answers that were.
    pub fn purge(&mut self, app: &str, what: &Purge) -> u64 {
        self.purges += 1;
        let mut dropped = 0;
        let mut empty = Vec::new();
        for (place, slot) in self.slots.iter_mut().filter(|(place, _)| *place.app == *app && what.may_mean(place)) {
            let (before, bytes) = (slot.variants.len(), slot.bytes());
            slot.variants.retain(|variant| !what.means(&variant.stored));
            if slot.variants.len() == before {
                continue;
            }
            dropped += (before - slot.variants.len()) as u64;
            self.shares.leave(&place.app, slot.tick, bytes);
            if slot.variants.is_empty() {
                empty.push(place.clone());
            } else {
                self.shares.enter(place.clone(), slot.tick, slot.bytes());
            }
        }
        for place in empty {
            self.slots.remove(&place);
        }
        dropped
    }

    /// Drops everything of everybody.
    pub fn clear(&mut self) {
        self.purges += 1;
        self.slots.clear();
        self.shares = Shares::default();
    }

    /// How much is kept.
    pub fn totals(&self) -> Totals {
        let answers = self.slots.values().map(|slot| slot.variants.len() as u64).sum();
        Totals { answers, bytes: self.shares.bytes() }
    }

    fn next_tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }
}

impl Slot {
    fn bytes(&self) -> u64 {
        self.variants.iter().map(|variant| variant.bytes).sum()
    }
}

impl Place {
    /// The same for another path of the same host.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        Self { path: path.into(), ..self.clone() }
    }

    fn bytes(&self) -> usize {
        self.app.len() + self.release.0.len() + self.host.len() + self.path.len() + 96
    }
}

impl Purge {
    fn may_mean(&self, place: &Place) -> bool {
        let Self::Path(path) = self else { return true };
        let kept = place.path.split('?').next().unwrap_or(&place.path);
        match path.strip_suffix('*') {
            Some(begin) => kept.starts_with(begin),
            None => kept == path,
        }
    }

    fn means(&self, stored: &Stored) -> bool {
        match self {
            Self::Everything | Self::Path(_) => true,
            Self::Tag(tag) => stored.tags.iter().any(|own| **own == **tag),
        }
    }
}

#[cfg(test)]
mod tests;
