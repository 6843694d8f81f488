//! The worker of runs in this process: takes them from the queue, and tells how it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use skylift_api::Runs;
use skylift_model::chain;
use skylift_model::wire::WorkerTold;
use skylift_queue::{Dispatch, Load, Queue};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::OwnRuns;

/// A worker, before it is started.
pub(crate) struct RunWorker {
    pub(crate) queue: Queue,
    pub(crate) runs: Arc<OwnRuns>,
    /// What its node is called.
    pub(crate) name: String,
}

impl RunWorker {
    /// Starts it, among `tasks`.
    pub(crate) fn start(self, tasks: &mut JoinSet<()>, stop: &watch::Receiver<bool>) {
        let Self { queue, runs, name } = self;
        let load = Arc::new(Load::default());
        let dispatch = Dispatch {
            queue: queue.clone(),
            execute: runs.clone(),
            name: name.clone(),
            at_once: runs.at_once,
            load: load.clone(),
        };
        tasks.spawn(dispatch.run(stop.clone()));
        tasks.spawn(tell(queue, runs, name, load, stop.clone()));
    }
}

/// Tells again and again, until told to stop; then that it is gone.
async fn tell(queue: Queue, runs: Arc<OwnRuns>, name: String, load: Arc<Load>, mut stop: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(WorkerTold::EVERY);
    while !*stop.borrow() {
        tokio::select! {
            _ = every.tick() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        // Where others answer the API they have to know; where nobody else does, nothing is looked for before it is needed.
        let languages = if queue.store.is_shared() { runs.languages().await } else { runs.languages_known() };
        let told = WorkerTold {
            languages,
            at_once: runs.at_once,
            running: load.running.load(Ordering::Relaxed),
            ahead: load.ahead.load(Ordering::Relaxed),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tuner: runs.tuned(),
        };
        // A plain struct: serialising it cannot fail.
        let told = serde_json::to_string(&told).unwrap_or_default();
        if let Err(error) = queue.store.tell_worker(name.clone(), told, queue.clock.now()).await {
            tracing::warn!(error = chain(&error), "nobody is told how this worker is");
        }
    }
    let left = tokio::time::timeout(Duration::from_secs(2), queue.store.forget_worker(name)).await;
    if !matches!(left, Ok(Ok(()))) {
        tracing::debug!("nobody was told that this worker is gone; they find out");
    }
}
