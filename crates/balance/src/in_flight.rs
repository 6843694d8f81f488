//! One request at one target, from the pick to the last byte of the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use skylift_model::DeploymentId;
use skylift_model::program::Protocol;

use crate::live::Live;
use crate::outcome::{Ejected, Outcome, Verdict};
use crate::target::{NodeName, TargetId};

/// Counts as in flight at its target until it is dropped.
#[must_use = "the request is in flight only while this lives"]
pub struct InFlight {
    live: Arc<Live>,
    began: Instant,
    is_recorded: bool,
    /// Whether all of it was sent and nothing of its answer is here.
    is_owed: bool,
    /// Whether it is among what its version has answered.
    is_counted: AtomicBool,
}

impl InFlight {
    /// The place must have been taken.
    pub(crate) fn new(live: Arc<Live>, began: Instant) -> Self {
        live.traffic.begin(began);
        Self { live, began, is_recorded: false, is_owed: false, is_counted: AtomicBool::new(false) }
    }

    /// Whom the request goes to.
    pub fn id(&self) -> &TargetId {
        &self.live.target.id
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.live.target.address
    }

    /// The node it runs on.
    pub fn node(&self) -> &NodeName {
        &self.live.target.node
    }

    /// The version it runs.
    pub fn deployment(&self) -> &DeploymentId {
        &self.live.target.deployment
    }

    /// What it speaks.
    pub fn protocol(&self) -> Protocol {
        self.live.target.protocol
    }

    /// Whether the target will be stopped: the client should be told to come back on another connection.
    pub fn is_draining(&self) -> bool {
        self.live.load.is_closed()
    }

    /// All of the request is sent, or about to be: from here on the target owes an answer, and is left alone where it gives none for
    /// long (`silence.rs`). Only the first call counts. Streams of HTTP/2 begin when there is something to say: they owe nothing.
    pub fn asked(&mut self, now: Instant) {
        if self.is_owed || self.is_recorded || self.protocol() != Protocol::Http1 {
            return;
        }
        let Some(group) = self.live.group.upgrade() else { return };
        self.is_owed = true;
        self.live.silence.ask(group.since_origin(now));
    }

    /// Takes in how the request went, when the head of the answer is there or nothing will come. The body may go on. Only the first
    /// call counts; a guard that is dropped without one was a request nobody can say anything about.
    pub fn record(&mut self, outcome: Outcome, now: Instant) -> Option<Ejected> {
        if std::mem::replace(&mut self.is_recorded, true) {
            return None;
        }
        self.settle();
        let group = self.live.group.upgrade()?;
        let (at, rules) = (group.since_origin(now), &group.settings.ejection);
        let took = now.saturating_duration_since(self.began);
        self.count(outcome, took);
        if matches!(outcome, Outcome::Answered { .. }) && self.live.silence.answer(at) {
            group.end_silence(&self.live, at);
        }
        match outcome.verdict() {
            Verdict::Good => {
                self.live.latency.observe(nanos(took), at);
                // Read first: a write would take the line from everybody, for each answer.
                if self.live.strikes.load(Ordering::Relaxed) != 0 {
                    self.live.strikes.store(0, Ordering::Relaxed);
                }
                None
            }
            Verdict::Nothing => {
                self.live.latency.observe_at_least(nanos(took), at);
                None
            }
            verdict @ (Verdict::Failure | Verdict::Gone) => {
                self.live.latency.observe_at_least(nanos(took.max(rules.failure_latency)), at);
                let strikes = self.live.strikes.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                if verdict == Verdict::Gone || strikes >= rules.failures { group.eject(&self.live, now) } else { None }
            }
        }
    }

    /// Nothing of its answer has come for so long that it counts as one that took so long: who compares versions need not wait for its
    /// end. Only the first call counts, and what comes of it is not counted again.
    pub fn late(&self, now: Instant) {
        if !self.is_counted.swap(true, Ordering::Relaxed) {
            self.live.answered.fetch_add(1, Ordering::Relaxed);
            self.live.took.count(now.saturating_duration_since(self.began));
        }
    }

    fn settle(&mut self) {
        if std::mem::take(&mut self.is_owed) {
            self.live.silence.settle();
        }
    }

    fn count(&self, outcome: Outcome, took: Duration) {
        if self.is_counted.swap(true, Ordering::Relaxed) {
            return;
        }
        self.live.answered.fetch_add(1, Ordering::Relaxed);
        if outcome.is_error() {
            self.live.errors.fetch_add(1, Ordering::Relaxed);
        } else {
            self.live.took.count(took);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.settle();
        self.live.traffic.end(self.began, Instant::now());
        self.live.leave();
    }
}

fn nanos(duration: Duration) -> f32 {
    duration.as_nanos() as f32
}
