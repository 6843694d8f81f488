//! The worker of runs in this process: takes them from the queue, and tells how it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use skylift_api::Runs;
use skylift_model::chain;
use skylift_model::wire::{Pace, WorkerTold};
use skylift_queue::{Dispatch, Duty, Load, Queue};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::OwnRuns;
use super::lately::Lately;
use crate::up::WorkerOf;

/// A worker, before it is started.
pub(crate) struct RunWorker {
    pub(crate) queue: Queue,
    pub(crate) runs: Arc<OwnRuns>,
    /// What its node is called.
    pub(crate) name: String,
    /// Whose worker it is, where the backlog has it started, and what it is told to do.
    pub(crate) started_as: Option<(WorkerOf, watch::Receiver<Duty>)>,
}

/// What it tells of itself, again and again.
struct Telling {
    queue: Queue,
    runs: Arc<OwnRuns>,
    name: String,
    load: Arc<Load>,
    started_by: Option<String>,
}

impl RunWorker {
    /// Starts it, among `tasks`.
    pub(crate) fn start(self, tasks: &mut JoinSet<()>, stop: &watch::Receiver<bool>) {
        let Self { queue, runs, name, started_as } = self;
        let (worker, duty) = started_as.unzip();
        let load = Arc::new(Load::default());
        let dispatch = Dispatch {
            queue: queue.clone(),
            execute: runs.clone(),
            name: name.clone(),
            at_once: runs.at_once,
            load: load.clone(),
            // Who was started by nobody is told nothing.
            duty: duty.unwrap_or_else(|| watch::channel(Duty::Serve).1),
        };
        tasks.spawn(dispatch.run(stop.clone()));
        let telling = Telling { queue, runs, name, load, started_by: worker.map(|worker| worker.node) };
        tasks.spawn(telling.run(stop.clone()));
    }
}

impl Telling {
    /// Tells again and again, and at once where it takes nothing more, until told to stop; then that it is gone.
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut lately = Lately::default();
        let mut every = tokio::time::interval(WorkerTold::EVERY);
        while !*stop.borrow() {
            tokio::select! {
                _ = every.tick() => {}
                () = self.load.changed() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let pace = lately.note(self.load.done(), Instant::now());
            // A plain struct: serialising it cannot fail.
            let told = serde_json::to_string(&self.told(pace).await).unwrap_or_default();
            let Queue { store, clock, .. } = &self.queue;
            if let Err(error) = store.tell_worker(self.name.clone(), told, clock.now()).await {
                tracing::warn!(error = chain(&error), "nobody is told how this worker is");
            }
        }
        let left = tokio::time::timeout(Duration::from_secs(2), self.queue.store.forget_worker(self.name)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::debug!("nobody was told that this worker is gone; they find out");
        }
    }

    async fn told(&self, lately: Pace) -> WorkerTold {
        let Self { queue, runs, load, .. } = self;
        // Where others answer the API they have to know; where nobody else does, nothing is looked for before it is needed.
        let languages = if queue.store.is_shared() { runs.languages().await } else { runs.languages_known() };
        WorkerTold {
            languages,
            at_once: runs.at_once,
            // Some that it has taken from the queue may wait for their turn yet; of those that nobody queued the queue knows nothing.
            running: load.running.load(Ordering::Relaxed).max(runs.running()),
            ahead: load.ahead.load(Ordering::Relaxed),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tuner: runs.tuned(),
            started_by: self.started_by.clone(),
            drains: load.drains(),
            lately,
        }
    }
}
