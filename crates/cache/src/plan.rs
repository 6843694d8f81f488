//! What to do with a request for which there is, or is not, a kept answer.

use crate::Millis;
use crate::ask::Ask;
use crate::stored::Stored;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Answer from what is kept.
    Serve,
    /// The same, and ask for a newer one meanwhile.
    ServeAndRefresh,
    /// Ask the other host whether it has changed, and wait.
    AskAgain(Why),
}

/// Why what is kept does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is too old.
    Stale,
    /// The request wants to be sure.
    Request,
}

/// Decides by what the request accepts and what the answer allows.
pub fn plan(ask: &Ask, stored: &Stored, now: Millis) -> Plan {
    let wants = &ask.directives;
    let freshness = &stored.freshness;
    if freshness.always_ask {
        return Plan::AskAgain(Why::Stale);
    }
    if wants.no_cache {
        return Plan::AskAgain(Why::Request);
    }
    let age = freshness.age(now);
    if wants.max_age.is_some_and(|seconds| age > seconds * 1000) && wants.max_stale.is_none() {
        return Plan::AskAgain(Why::Request);
    }
    if freshness.is_fresh(now) {
        let left = freshness.lifetime - age;
        let enough = wants.min_fresh.is_none_or(|seconds| left >= seconds * 1000);
        return if enough { Plan::Serve } else { Plan::AskAgain(Why::Request) };
    }
    if freshness.never_stale || wants.min_fresh.is_some() {
        return Plan::AskAgain(Why::Stale);
    }
    let late = freshness.lateness(now);
    if freshness.while_refreshed.is_some_and(|window| late <= window) {
        return Plan::ServeAndRefresh;
    }
    if wants.max_stale.is_some_and(|seconds| late <= seconds * 1000) {
        return Plan::Serve;
    }
    Plan::AskAgain(Why::Stale)
}

#[cfg(test)]
mod tests;
