//! What clients were told: which versions may answer at a moment, and what went wrong.

use std::sync::Mutex;
use std::time::Instant;

/// Shared by the clients and whoever changes what is live.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// What was to be live, one after the other; a version may come back.
    course: Vec<String>,
    /// Up to here it was confirmed.
    confirmed: usize,
    /// From when to when an instance was killed.
    kills: Vec<(Instant, Option<Instant>)>,
    told: Told,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) answered: [u64; KINDS.len()],
    /// Under way at an instance that was killed, by kind.
    pub(crate) lost: [u64; KINDS.len()],
    pub(crate) failed: Vec<String>,
}

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    /// Over a connection that lasts.
    Again,
    Post,
    Download,
    Socket,
}

pub(crate) const KINDS: [Kind; 5] = [Kind::Read, Kind::Again, Kind::Post, Kind::Download, Kind::Socket];

impl Kind {
    /// Whether nobody can repeat it where an instance dies: it may have had an effect, or a part of it was passed on.
    fn may_be_lost(self) -> bool {
        matches!(self, Self::Post | Self::Download | Self::Socket)
    }
}

/// A request that was begun.
pub(crate) struct Begun {
    kind: Kind,
    at: Instant,
    /// The first that may answer.
    from: usize,
}

impl Ledger {
    /// A version may answer from now on.
    pub(crate) fn comes(&self, version: &str) {
        self.0.lock().unwrap().course.push(version.to_owned());
    }

    /// It was said that the last one is live: no other answers what is begun from now on.
    pub(crate) fn is_live(&self) {
        let mut inner = self.0.lock().unwrap();
        inner.confirmed = inner.course.len() - 1;
    }

    pub(crate) fn kill_begins(&self) {
        self.0.lock().unwrap().kills.push((Instant::now(), None));
    }

    pub(crate) fn kill_is_over(&self) {
        self.0.lock().unwrap().kills.last_mut().unwrap().1 = Some(Instant::now());
    }

    pub(crate) fn begin(&self, kind: Kind) -> Begun {
        Begun { kind, at: Instant::now(), from: self.0.lock().unwrap().confirmed }
    }

    /// It was answered by a version, or failed.
    pub(crate) fn end(&self, begun: &Begun, answer: Result<String, String>) {
        let mut inner = self.0.lock().unwrap();
        let (kind, number) = (begun.kind, KINDS.iter().position(|kind| *kind == begun.kind).unwrap());
        match answer {
            Ok(version) if inner.course[begun.from..].contains(&version) => inner.told.answered[number] += 1,
            Ok(version) => {
                let known = inner.course[begun.from..].join(", ");
                inner.told.failed.push(format!("{kind:?}: answered by {version:?}, not by any of {known}"));
            }
            // Before it began the instance was dead, or after it ended still alive.
            Err(_) if kind.may_be_lost() && inner.was_killed_since(begun.at) => inner.told.lost[number] += 1,
            Err(why) => inner.told.failed.push(format!("{kind:?}: {why}")),
        }
    }

    pub(crate) fn told(&self) -> Told {
        self.0.lock().unwrap().told.clone()
    }
}

impl Inner {
    fn was_killed_since(&self, began: Instant) -> bool {
        self.kills.iter().any(|(_, over)| over.is_none_or(|over| over >= began))
    }
}
