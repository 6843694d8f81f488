//! Many who queue, many who take, some who die.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, join, join_all};
use skylift_model::RunId;
use skylift_model::run::{Ending, Job, RunState, Step};
use skylift_queue::{Dispatch, Duty, Execute, Failed, Live, Notice, Queue};
use skylift_store::TakenRun;
use tokio::sync::watch;

use crate::bench::{Bench, Beside, LEASE, ended, service, until};

/// Each message twice, as a queue may deliver it.
async fn announce_twice(bench: &Bench, ids: &[RunId]) {
    let Some(service) = service(&bench.beside) else { return };
    if let Beside::Redis(redis) = &bench.beside {
        // It takes care itself that none is there twice.
        for id in ids {
            redis.command(&format!("HDEL skylift:runs:known {id}")).await;
        }
    }
    let notice = |id: &RunId| Notice { id: id.clone(), priority: 0, after: Duration::ZERO };
    service.announce(&ids.iter().map(notice).collect::<Vec<_>>()).await.unwrap();
}

/// Takes and settles until all are; the first few times what was taken is left lying.
async fn consume(queue: Queue, settled: &Mutex<HashMap<RunId, u64>>, left: &AtomicUsize, dies: &AtomicUsize) {
    while left.load(Ordering::SeqCst) > 0 {
        let taken = queue.take("w", 50, LEASE).await.unwrap();
        if taken.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        if dies.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            continue;
        }
        let ended = taken.iter().map(|taken| ended(taken, "")).collect();
        for (taken, was_held) in taken.iter().zip(queue.settle(ended).await.unwrap()) {
            if was_held {
                *settled.lock().unwrap().entry(taken.id.clone()).or_default() += 1;
                left.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }
}

pub(crate) async fn thousands_are_settled_once_each_whoever_dies_and_whatever_comes_twice(bench: Bench) {
    let count: usize = match &bench.beside {
        Beside::Nothing | Beside::Redis(_) => 3000,
        // While several wait there for messages, it lets others wait for a minute.
        #[cfg(feature = "sqs")]
        Beside::Sqs(sqs) if sqs.is_moto() => return,
        #[cfg(feature = "sqs")]
        Beside::Sqs(_) => 450,
    };
    let (settled, left, dies) = (Mutex::default(), AtomicUsize::new(count), AtomicUsize::new(3));
    let is_over = AtomicBool::new(false);
    let enqueue = join_all((0..3).map(async |_| {
        let queue = bench.another();
        for _ in 0..count / 3 / 50 {
            let ids = bench.add_with(&queue, &[0; 50]).await;
            announce_twice(&bench, &ids[..5]).await;
        }
    }));
    let consume = async {
        join_all((0..4).map(|_| consume(bench.another(), &settled, &left, &dies))).await;
        is_over.store(true, Ordering::SeqCst);
    };
    let look = async {
        while !is_over.load(Ordering::SeqCst) {
            bench.look_after().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    join(enqueue, join(consume, look)).await;
    let settled = settled.into_inner().unwrap();
    assert_eq!(settled.len(), count);
    assert!(settled.values().all(|times| *times == 1), "an effect twice");
    assert_eq!(dies.load(Ordering::SeqCst), 0, "some died");
    assert!(bench.queue.take("w", 9, LEASE).await.unwrap().is_empty());
}

/// Counts how often each is begun.
#[derive(Default)]
struct Counts(Mutex<HashMap<RunId, u64>>);

impl Execute for Counts {
    fn execute<'r>(&'r self, job: Job, _: &'r TakenRun, _: Arc<Live>) -> BoxFuture<'r, Result<Ending, Failed>> {
        *self.0.lock().unwrap().entry(job.id).or_default() += 1;
        Box::pin(async { Ok(well()) })
    }
}

/// As one that went well.
pub(crate) fn well() -> Ending {
    Ending::of_steps(vec![Step::exited(0)], "1")
}

pub(crate) async fn workers_run_what_waits(bench: Bench) {
    let counts = Arc::<Counts>::default();
    let (stop, _) = watch::channel(false);
    let serve = watch::Sender::new(Duty::Serve);
    let workers: Vec<_> = ["a", "b"]
        .map(|name| {
            let (execute, load) = (counts.clone(), Arc::default());
            let (name, duty) = (name.to_owned(), serve.subscribe());
            let dispatch = Dispatch { queue: bench.another(), execute, name, at_once: 4, load, duty };
            tokio::spawn(dispatch.run(stop.subscribe()))
        })
        .into();
    let ids = bench.add(200).await;
    let states = async || bench.queue.store.settled_runs(ids.clone()).await.unwrap();
    until(async || states().await.len() == ids.len()).await;
    assert!(states().await.iter().all(|row| row.state == RunState::Done && row.attempts == 1));
    assert!(counts.0.lock().unwrap().values().all(|times| *times == 1));
    stop.send(true).unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
    until(async || bench.queue.depth().await.unwrap().visible == 0).await;
}
