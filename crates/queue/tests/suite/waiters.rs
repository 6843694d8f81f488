//! However many wait in a process, Redis sees one who listens.

use std::time::Duration;

use futures_util::future::join_all;
use skylift_bus::{Bus, BusSettings};
use skylift_model::run::RunState;
use skylift_queue::{Waiter, Waiting};
use skylift_store::Once;
use tokio::sync::watch;

use crate::bench::{Bench, Beside, ended, until};

/// The connections that Redis has, but for the one that asks; and how many of them listen.
async fn connections(redis: &skylift_peers::Redis) -> (usize, usize) {
    let list = redis.command("CLIENT LIST").await;
    let clients: Vec<&str> =
        list.lines().filter(|line| line.contains("addr=") && !line.contains("cmd=client")).collect();
    (clients.len(), clients.iter().filter(|line| !line.contains(" sub=0 ")).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_who_wait_hear_over_one_connection() {
    let Some(bench) = Bench::redis().await else { return };
    let Beside::Redis(redis) = &bench.beside else { return };
    let settings = BusSettings { url: redis.url(), ..BusSettings::default() };
    let on_bus = || bench.rows_on(Bus::open(&settings).unwrap());
    let asks = on_bus();
    let (stop, stopped) = watch::channel(false);
    let waiting = Waiting::default();
    let hears = tokio::spawn(waiting.clone().run(asks.clone(), stopped));
    until(async || asks.bus.is_connected() && connections(redis).await.1 == 1).await;

    let orders: Vec<_> = (0..2000).map(|_| bench.order(0)).collect();
    let before = connections(redis).await;
    let waiters: Vec<_> = orders.iter().map(|order| waiting.wait_for(&order.job.id)).collect();
    let settled = tokio::spawn(join_all(waiters.into_iter().map(Waiter::settled)));
    assert_eq!(connections(redis).await, before, "nobody who waits has a connection");
    assert_eq!(before.1, 1, "one listens");
    assert!(before.0 <= 2, "and one says");

    asks.add(&bench.token, orders, Once::default()).await.unwrap();
    // Another process settles them, and says so.
    let works = on_bus();
    until(async || {
        let taken = works.take("w", 200, Duration::from_secs(60)).await.unwrap();
        works.settle(taken.iter().map(|taken| ended(taken, "")).collect()).await.unwrap();
        let ids = taken.iter().map(|taken| taken.id.clone()).collect();
        works.bus.publish(skylift_bus::Message::RunsSettled(ids));
        works.store.backlog(works.clock.now()).await.unwrap().visible == 0
    })
    .await;
    let rows = tokio::time::timeout(Duration::from_secs(60), settled).await.unwrap().unwrap();
    assert!(rows.iter().all(|row| row.as_ref().is_some_and(|row| row.state == RunState::Done)));
    assert_eq!(rows.len(), 2000);
    stop.send(true).unwrap();
    hears.await.unwrap();
}
