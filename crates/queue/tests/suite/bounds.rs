//! Keys that may have so many runs under way, on every queue.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use skylift_model::key::{Grant, Scope};
use skylift_model::run::{Ending, Job};
use skylift_model::{Digest, TokenId};
use skylift_queue::{Dispatch, Duty, Execute, Failed, Live};
use skylift_store::{NewKey, Once, TakenRun};
use tokio::sync::watch;

use crate::bench::{Bench, until};
use crate::crowd::well;

/// How many of one key go on, and went on at most; how many have ended.
struct Watch {
    key: TokenId,
    now: AtomicUsize,
    most: AtomicUsize,
    ended: Mutex<Vec<TokenId>>,
}

impl Execute for Watch {
    fn execute<'r>(&'r self, _: Job, taken: &'r TakenRun, _: Arc<Live>) -> BoxFuture<'r, Result<Ending, Failed>> {
        let token = &taken.token;
        Box::pin(async move {
            if *token == self.key {
                let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
                self.most.fetch_max(now, Ordering::SeqCst);
            }
            // Long enough for others to begin meanwhile, where they may.
            tokio::time::sleep(Duration::from_millis(5)).await;
            if *token == self.key {
                self.now.fetch_sub(1, Ordering::SeqCst);
            }
            self.ended.lock().unwrap().push(token.clone());
            Ok(well())
        })
    }
}

pub(crate) async fn a_key_has_as_many_under_way_as_it_may_whoever_runs_them(bench: Bench) {
    let grant = Grant { at_once: Some(2), ..Grant::for_scopes(vec![Scope::Runs]) };
    let (store, now) = (&bench.queue.store, bench.queue.clock.now());
    let new = NewKey { name: "bounded".to_owned(), sha256: Digest::of(b"bounded"), grant, expires_at: None };
    let key = store.add_key(new, Once::default(), now).await.unwrap().made().unwrap().id;
    let execute = Arc::new(Watch {
        key: key.clone(),
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        ended: Mutex::default(),
    });
    let orders = |count| (0..count).map(|_| bench.order(0)).collect::<Vec<_>>();
    bench.queue.add(&key, orders(12), Once::default()).await.unwrap();
    bench.queue.add(&bench.token, orders(40), Once::default()).await.unwrap();
    let (stop, duty) = (watch::channel(false).0, watch::Sender::new(Duty::Serve));
    let workers: Vec<_> = ["a", "b"]
        .map(|name| {
            let (queue, execute) = (bench.queue.clone(), execute.clone());
            let (name, load, duty) = (name.to_owned(), Arc::default(), duty.subscribe());
            tokio::spawn(Dispatch { queue, execute, name, at_once: 4, load, duty }.run(stop.subscribe()))
        })
        .into();
    until(async || execute.ended.lock().unwrap().len() == 52).await;
    assert_eq!(execute.most.load(Ordering::SeqCst), 2, "as many as it may, and no more");
    stop.send(true).unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
}
