//! A server that dies and comes back while many write.

use std::collections::HashSet;

use skylift_model::{DeploymentId, DeploymentState, Timestamp};
use skylift_peers::Postgres;
use skylift_store::{Once, Store, StoreError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_postgres::NoTls;

use crate::bench::{Bench, Home, rounds};

const WRITERS: u64 = 16;

fn its_server(bench: &mut Bench) -> &mut Postgres {
    let Home::Postgres(server) = &mut bench.home else { unreachable!() };
    server
}

/// Told of each write: its text, and whether it was acknowledged.
type Told = (String, bool);

/// Writes texts that are never the same until nobody listens. What was not acknowledged is not tried again.
async fn write_on(store: Store, deployment: DeploymentId, writer: u64, tell: UnboundedSender<Told>) {
    for number in 0_u64.. {
        let text = format!("{writer}-{number}");
        let now = Timestamp::from_millis(1);
        let done = store.add_event(deployment.clone(), DeploymentState::Queued, text.clone(), now).await;
        assert!(matches!(done, Ok(()) | Err(StoreError::Unavailable(_))), "{done:?}");
        if tell.send((text, done.is_ok())).is_err() {
            return;
        }
    }
}

async fn take(told: &mut UnboundedReceiver<Told>, all: &mut Vec<Told>, acknowledged: usize) {
    let mut seen = 0;
    while seen < acknowledged {
        let one = told.recv().await.unwrap();
        seen += usize::from(one.1);
        all.push(one);
    }
}

async fn written(store: &Store, deployment: &DeploymentId) -> Vec<String> {
    let mut texts = Vec::new();
    let mut after = 0;
    loop {
        let some = store.events(deployment.clone(), after).await.unwrap();
        let Some(last) = some.last() else { return texts };
        after = last.seq;
        texts.extend(some.into_iter().map(|event| event.message).filter(|text| text != "queued"));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "how often it was not known is worth seeing")]
async fn what_was_acknowledged_survives_a_killed_server_and_nothing_is_there_twice() {
    // A server that is told not to wait for its disk: the store insists.
    let settings = ["synchronous_commit=off", "wal_writer_delay=10s"];
    let Some(server) = Postgres::start_with(&settings) else { return };
    let mut bench = Bench::at(Home::Postgres(server)).await;
    let deployment = bench.deploy().await;
    let (tell, mut told) = unbounded_channel();
    for writer in 0..WRITERS {
        tokio::spawn(write_on(bench.store.clone(), deployment.clone(), writer, tell.clone()));
    }
    let mut all = Vec::new();
    for _ in 0..rounds(3, 50) {
        take(&mut told, &mut all, 200).await;
        its_server(&mut bench).kill();
        its_server(&mut bench).start_again();
    }
    take(&mut told, &mut all, 200).await;
    told.close();
    while let Some(one) = told.recv().await {
        all.push(one);
    }
    let there = written(&bench.store, &deployment).await;
    let once: HashSet<&String> = there.iter().collect();
    assert_eq!(once.len(), there.len(), "nothing is written twice");
    let (acknowledged, not): (Vec<Told>, Vec<Told>) = all.into_iter().partition(|(_, acknowledged)| *acknowledged);
    let lost: Vec<&Told> = acknowledged.iter().filter(|(text, _)| !once.contains(text)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let unknown = not.iter().filter(|(text, _)| once.contains(text)).count();
    eprintln!("{} acknowledged, {} refused, of these {unknown} done all the same", acknowledged.len(), not.len());
}

/// The control: on the same server, without the store's insistence, acknowledged writes are lost.
#[tokio::test]
async fn a_client_that_does_not_insist_on_the_disk_loses_what_was_acknowledged() {
    let settings = ["synchronous_commit=off", "wal_writer_delay=10s"];
    let Some(mut server) = Postgres::start_with(&settings) else { return };
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    let driven = tokio::spawn(connection);
    client
        .batch_execute("SET synchronous_commit = on; CREATE TABLE kept (n INT); SET synchronous_commit = off")
        .await
        .unwrap();
    for n in 0..100_i32 {
        client.execute("INSERT INTO kept VALUES ($1)", &[&n]).await.unwrap();
    }
    server.kill();
    let _ = driven.await;
    server.start_again();
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let kept: i64 = client.query_one("SELECT COUNT(*) FROM kept", &[]).await.unwrap().get(0);
    assert!(kept < 100, "{kept} of 100 survived");
}

#[tokio::test]
async fn a_server_that_is_away_is_said_to_be_and_found_again() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let deployment = bench.deploy().await;
    its_server(&mut bench).kill();
    let (read, write) = tokio::join!(bench.store.deployment(deployment.clone()), bench.set_env(0, b"x"));
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert!(matches!(write, Err(StoreError::Unavailable(_))), "{write:?}");
    its_server(&mut bench).start_again();
    assert_eq!(bench.store.deployment(deployment).await.unwrap().state, DeploymentState::Queued);
    assert_eq!(bench.set_env(0, b"x").await.unwrap(), 1);
}

/// It takes connections, and says nothing: neither on those that were open, nor on new ones.
#[tokio::test]
async fn a_server_that_is_frozen_is_told_as_away_in_time() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let deployment = bench.deploy().await;
    let server = its_server(&mut bench);
    server.freeze();
    let began = std::time::Instant::now();
    let refused = Store::connect(&server.url()).await.err();
    assert!(matches!(refused, Some(StoreError::Unavailable(_))), "{refused:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "it waited for {:?}", began.elapsed());
    its_server(&mut bench).thaw();
    assert_eq!(bench.store.deployment(deployment).await.unwrap().state, DeploymentState::Queued);
    bench.set_env(0, b"x").await.unwrap();
}

#[tokio::test]
async fn a_write_that_waits_while_the_server_starts_again_is_done_once() {
    let Some(mut bench) = Bench::postgres().await else { return };
    its_server(&mut bench).kill();
    let (store, now) = (bench.store.clone(), bench.now);
    let waits = tokio::spawn(async move {
        loop {
            // Nothing of the server is left: a write cannot begin before it is back, so it may be asked for again.
            match store.create_app("later".parse().unwrap(), Once::default(), now).await {
                Err(StoreError::Unavailable(_)) => {}
                done => return done,
            }
        }
    });
    tokio::task::yield_now().await;
    its_server(&mut bench).start_again();
    waits.await.unwrap().unwrap();
    assert_eq!(bench.store.apps().await.unwrap().len(), 2);
}
