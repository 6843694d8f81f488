//! A worker that dies, and what it had.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use skylift_model::RunId;
use skylift_model::run::{Ending, Job, RunState};
use skylift_queue::{Dispatch, Duty, Execute, Failed, Live, Order};
use skylift_store::{Once, TakenRun};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bench::{Bench, Beside, until};
use crate::crowd::well;

/// Of these none ends; all others do at once.
struct Slow(Vec<RunId>);

impl Execute for Slow {
    fn execute<'r>(&'r self, job: Job, _: &'r TakenRun, _: Arc<Live>) -> BoxFuture<'r, Result<Ending, Failed>> {
        Box::pin(async move {
            if self.0.contains(&job.id) {
                std::future::pending::<()>().await;
            }
            Ok(well())
        })
    }
}

/// A worker of two places that has learnt that runs are short, and then some that are not.
struct Ahead {
    quick: Vec<RunId>,
    slow: Vec<RunId>,
    worker: JoinHandle<()>,
    stop: watch::Sender<bool>,
    duty: watch::Sender<Duty>,
}

impl Ahead {
    /// `never_ends` says of which of the few by their number.
    async fn new(bench: &Bench, few: usize, never_ends: impl Fn(usize) -> bool) -> Self {
        let orders = |count| (0..count).map(|_| bench.order(0)).collect::<Vec<_>>();
        let ids = |orders: &[Order]| orders.iter().map(|order| order.job.id.clone()).collect::<Vec<RunId>>();
        let (many, few) = (orders(60), orders(few));
        let (quick, slow) = (ids(&many), ids(&few));
        let unending = slow.iter().enumerate().filter(|(number, _)| never_ends(*number)).map(|(_, id)| id.clone());
        let (stop, duty) = (watch::channel(false).0, watch::Sender::new(Duty::Serve));
        let worker = worker(bench, "w", unending.collect(), &stop, &duty);
        // Also where the first of them were not short.
        bench.queue.add(&bench.token, many, Once::default()).await.unwrap();
        let settled = async || bench.queue.store.settled_runs(quick.clone()).await.unwrap().len() == quick.len();
        until(settled).await;
        bench.queue.add(&bench.token, few, Once::default()).await.unwrap();
        Self { quick, slow, worker, stop, duty }
    }
}

fn worker(
    bench: &Bench,
    name: &str,
    unending: Vec<RunId>,
    stop: &watch::Sender<bool>,
    duty: &watch::Sender<Duty>,
) -> JoinHandle<()> {
    let (queue, execute, name) = (bench.queue.clone(), Arc::new(Slow(unending)), name.to_owned());
    let dispatch = Dispatch { queue, execute, name, at_once: 2, load: Arc::default(), duty: duty.subscribe() };
    tokio::spawn(dispatch.run(stop.subscribe()))
}

pub(crate) async fn what_was_taken_ahead_is_others_where_runs_take_long(bench: Bench) {
    let ahead = Ahead::new(&bench, 6, |number| number < 2).await;
    let states = async || {
        let mut states = Vec::new();
        for id in &ahead.slow {
            states.push(bench.queue.store.run(id.clone(), None).await.unwrap().state);
        }
        states
    };
    // Nobody has them, until somebody comes.
    until(async || states().await.iter().filter(|state| **state == RunState::Queued).count() == 4).await;
    let other = worker(&bench, "other", Vec::new(), &ahead.stop, &ahead.duty);
    until(async || states().await.iter().filter(|state| **state == RunState::Done).count() == 4).await;
    ahead.worker.abort();
    ahead.stop.send(true).unwrap();
    other.await.unwrap();
}

pub(crate) async fn what_a_worker_that_dies_had_only_taken_ahead_was_not_tried(bench: Bench) {
    if !matches!(bench.beside, Beside::Nothing) {
        return;
    }
    let store = &bench.queue.store;
    let Ahead { quick, slow, worker, stop: _stop, duty: _duty } = Ahead::new(&bench, 6, |_| true).await;
    let rows = async || {
        let mut rows = Vec::new();
        for id in &slow {
            rows.push(store.run(id.clone(), None).await.unwrap());
        }
        rows
    };
    until(async || {
        let rows = rows().await;
        let taken = rows.iter().filter(|row| row.state == RunState::Running).count();
        taken > 2 && rows.iter().filter(|row| row.is_begun).count() == 2
    })
    .await;
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    let mut attempts = Vec::new();
    // What it was about to take when it died may be taken yet.
    until(async || {
        assert_eq!(store.reap_all_runs(bench.queue.clock.now()).await.unwrap(), 0);
        let rows = rows().await;
        attempts = rows.iter().map(|row| row.attempts).collect();
        rows.iter().all(|row| row.state == RunState::Queued)
    })
    .await;
    assert_eq!(attempts, [1, 1, 0, 0, 0, 0]);
    assert!(store.settled_runs(quick).await.unwrap().iter().all(|row| row.attempts == 1));
}
