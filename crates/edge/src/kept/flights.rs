//! Who is asking for what: many who ask for the same at one time ask once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skylift_cache::Place;
use tokio::sync::watch;

/// How long it is remembered that the answers of a place are not kept, so that nobody waits for them.
const PASSING: Duration = Duration::from_secs(10);
const PASSING_MAX: usize = 4096;

/// Where somebody is asking, and for what behind it.
type Line = (Place, Arc<str>);

/// Everybody who is asking.
#[derive(Clone, Default)]
pub(crate) struct Flights(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    asking: HashMap<Line, watch::Receiver<()>>,
    passing: HashMap<Line, Instant>,
}

/// What to do for one more who wants the same.
pub(crate) enum Join {
    /// Ask, for all.
    Lead(Flight),
    /// Wait until the one who asks has an answer.
    Follow(Landing),
    /// Ask, for oneself.
    Alone,
}

/// The right to ask for all. It ends when it is dropped, however that comes about.
pub(crate) struct Flight {
    flights: Flights,
    line: Line,
    /// Dropped with the flight, which all who wait notice.
    _landed: watch::Sender<()>,
}

/// The end of somebody else's flight.
pub(crate) struct Landing(watch::Receiver<()>);

impl Flights {
    /// Joins whoever asks for the same.
    pub(crate) fn join(&self, place: &Place, behind: &Arc<str>, now: Instant) -> Join {
        let line = (place.clone(), behind.clone());
        let mut inner = self.lock();
        if inner.passing.get(&line).is_some_and(|until| now < *until) {
            return Join::Alone;
        }
        if let Some(landing) = inner.asking.get(&line) {
            return Join::Follow(Landing(landing.clone()));
        }
        let (landed, landing) = watch::channel(());
        inner.asking.insert(line.clone(), landing);
        Join::Lead(Flight { flights: self.clone(), line, _landed: landed })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Lets everybody ask for themselves for a while: these answers are not kept.
    pub(crate) fn pass(&self, now: Instant) {
        let mut inner = self.flights.lock();
        if inner.passing.len() >= PASSING_MAX {
            inner.passing.retain(|_, until| now < *until);
        }
        if inner.passing.len() < PASSING_MAX {
            inner.passing.insert(self.line.clone(), now + PASSING);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.lock().asking.remove(&self.line);
    }
}

impl Landing {
    /// Waits for it.
    pub(crate) async fn landed(mut self) {
        // Nothing is ever sent: an error is the end.
        while self.0.changed().await.is_ok() {}
    }
}
