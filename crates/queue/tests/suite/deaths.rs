//! A worker that dies, and what it had.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use skylift_model::run::{Ending, Job, RunState};
use skylift_model::{RunId, TokenId};
use skylift_queue::{Dispatch, Duty, Execute, Failed, Live, Load, Order};
use skylift_store::Once;
use tokio::sync::watch;

use crate::bench::{Bench, Beside, until};
use crate::crowd::well;

/// Of these none ends; all others do at once.
struct Slow(Vec<RunId>);

impl Execute for Slow {
    fn execute<'r>(&'r self, job: Job, _: &'r TokenId, _: Arc<Live>) -> BoxFuture<'r, Result<Ending, Failed>> {
        Box::pin(async move {
            if self.0.contains(&job.id) {
                std::future::pending::<()>().await;
            }
            Ok(well())
        })
    }
}

pub(crate) async fn what_a_worker_that_dies_had_only_taken_ahead_was_not_tried(bench: Bench) {
    if !matches!(bench.beside, Beside::Nothing) {
        return;
    }
    let store = &bench.queue.store;
    let orders = |count| (0..count).map(|_| bench.order(0)).collect::<Vec<_>>();
    let ids = |orders: &[Order]| orders.iter().map(|order| order.job.id.clone()).collect::<Vec<RunId>>();
    let (many, few) = (orders(60), orders(6));
    let (quick, slow) = (ids(&many), ids(&few));
    let (stop, duty, load) = (watch::channel(false).0, watch::Sender::new(Duty::Serve), Arc::<Load>::default());
    let dispatch = Dispatch {
        queue: bench.queue.clone(),
        execute: Arc::new(Slow(slow.clone())),
        name: "w".to_owned(),
        at_once: 2,
        load: load.clone(),
        duty: duty.subscribe(),
    };
    let worker = tokio::spawn(dispatch.run(stop.subscribe()));
    // It learns that runs are short, also where the first of them were not, and takes ahead from then on.
    bench.queue.add(&bench.token, many, Once::default()).await.unwrap();
    until(async || store.settled_runs(quick.clone()).await.unwrap().len() == quick.len()).await;
    bench.queue.add(&bench.token, few, Once::default()).await.unwrap();
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
