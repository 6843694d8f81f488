//! Worker processes of runs, as many as the backlog asks for: senses, has `skylift-scale` decide, starts and ends.
//!
//! ```text
//! rows: what waits, who holds what ─┐                             ┌─▶ start: a process beside this one
//! workers: what each told last ─────┴─ every second ── decide() ──┴─▶ plan_retire(): drain, serve again, give back, end
//! ```
//!
//! One process at a time does so, on its own node: whoever leads in the rows. The others keep none, and whoever finds that another
//! leads ends its own. Nothing but the rows is remembered by anybody else: who is new begins with what it finds.

mod children;
mod host;
mod numbers;
mod sight;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skylift_model::wire::WorkerScaling;
use skylift_model::{Timestamp, chain};
use skylift_scale::{Policy, Settings, State};
use skylift_store::StoreError;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

pub use children::{Child, Children, Told};
pub use numbers::WorkerNumbers;

use crate::worker::Queue;
use host::{Host, Rests};
use sight::Sight;

/// How often it is decided.
const TICK: Duration = Duration::from_secs(1);
/// How often it is only looked, where nobody is started.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What an owner says of workers that are started by the backlog.
#[derive(Clone, Copy, Debug)]
pub struct WorkerBounds {
    /// Never fewer, beside those that are there anyway.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// `BacklogPerInstance` to aim at.
    pub backlog_per_instance: f64,
    /// How many runs one of them has at the same time.
    pub at_once: usize,
    /// How long one may go on with what it holds once it drains; then it gives that back.
    pub grace: Duration,
}

/// The one task that scales workers.
pub struct WorkerScaler {
    queue: Queue,
    numbers: Arc<WorkerNumbers>,
    host: Option<Host>,
    last: Timestamp,
}

impl WorkerScaler {
    /// One that only looks, for its numbers.
    pub fn new(queue: Queue, numbers: Arc<WorkerNumbers>) -> Self {
        let last = queue.clock.now();
        Self { queue, numbers, host: None, last }
    }

    /// The same that starts and ends workers of this node.
    #[must_use]
    pub fn with_host(mut self, node: String, bounds: WorkerBounds, children: Box<dyn Children>) -> Self {
        let (known, state, began) = (HashMap::new(), State::default(), Instant::now());
        let (rests, leads_since, told_at) = (Rests::default(), None, None);
        self.host = Some(Host { node, bounds, children, known, state, began, leads_since, told_at, rests });
        self
    }

    /// Scales until told to stop; then nobody whom it started is left.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(if self.host.is_some() { TICK } else { LOOK_EVERY });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow() {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            if let Err(error) = self.tick().await {
                tracing::error!(error = %chain(&error), "cannot scale the workers of runs");
            }
        }
        if let Some(mut host) = self.host {
            host.children.end_all().await;
            if host.leads_since.is_some() {
                let _ = self.queue.store.end_lead(WorkerScaling::LEAD, host.node).await;
            }
        }
    }

    async fn tick(&mut self) -> Result<(), StoreError> {
        let now = self.queue.clock.now();
        let rows = self.queue.store.workers().await?;
        let seen = self.queue.store.runs_seen(self.last, now).await?;
        let passed = now.since(self.last);
        self.last = now;
        let Some(host) = &mut self.host else {
            self.numbers.set(Sight::of(&rows, &seen, &HashMap::new(), passed, now).numbers(0));
            return Ok(());
        };
        host.look_after_children();
        let sight = Sight::of(&rows, &seen, &host.known, passed, now);
        self.numbers.set(sight.numbers(host.starting()));
        host.take_in(&sight);
        if !host.leads(&self.queue, now).await? {
            return Ok(());
        }
        let decision = host.decide(&sight);
        host.apply(&sight, &decision);
        host.tell(&self.queue, &sight, &decision, now).await
    }
}

impl WorkerBounds {
    fn settings(&self, sight: &Sight) -> Settings {
        Settings {
            min: sight.fixed.saturating_add(self.min),
            max: sight.fixed.saturating_add(self.max.max(self.min)),
            policies: vec![Policy::BacklogPerInstance(self.backlog_per_instance)],
            slots: sight.slots.unwrap_or(self.at_once as f64),
            ..Settings::for_runs()
        }
    }

    /// How many of those that are started there should be: who holds a run stays, whatever the rest are.
    fn wanted(&self, sight: &Sight, desired: u32) -> u32 {
        let most = self.max.max(self.min);
        desired.saturating_sub(sight.fixed).clamp(self.min, most).max(sight.holding_children.min(most))
    }
}

#[cfg(test)]
mod tests;
