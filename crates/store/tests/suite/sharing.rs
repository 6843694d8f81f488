//! Several processes on one server, as far as one process can play them: each store has its own connections.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use skylift_model::AppName;
use skylift_store::{Answer, Done, JobKind, Store, StoreError};
use tokio_postgres::{Client, NoTls};

use crate::bench::{Bench, Home, LEASE, archive, create_app, key, once};

async fn raw(bench: &Bench) -> Client {
    let Home::Postgres(server) = &bench.home else { unreachable!() };
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn no_job_is_leased_by_two_processes() {
    let Some(bench) = Bench::postgres().await else { return };
    let other = bench.home.open().await;
    for n in 0..60 {
        bench.store.enqueue_commit(format!("app-{n}").parse().unwrap(), bench.now).await.unwrap();
    }
    let lease_all = async |store: Store| {
        let mut taken = Vec::new();
        loop {
            let some = store.lease_many(JobKind::Commit, 3, bench.now, LEASE).await.unwrap();
            if some.is_empty() {
                return taken;
            }
            taken.extend(some.into_iter().map(|lease| lease.subject));
        }
    };
    let stores = [bench.store.clone(), other.clone(), bench.store.clone(), other];
    let taken: Vec<String> = join_all(stores.map(lease_all)).await.concat();
    let once: HashSet<&String> = taken.iter().collect();
    assert_eq!((taken.len(), once.len()), (60, 60));
}

#[tokio::test]
async fn what_two_processes_write_at_once_is_as_if_one_had_waited() {
    let Some(bench) = Bench::postgres().await else { return };
    let other = bench.home.open().await;
    let made = (0..40).map(|n| {
        let store = if n % 2 == 0 { bench.store.clone() } else { other.clone() };
        // Every name is asked for by both.
        let name: AppName = format!("app-{}", n / 2).parse().unwrap();
        async move { create_app(&store, &name, bench.now).await }
    });
    let made = join_all(made).await.into_iter().filter(|made| *made).count();
    let apps = bench.store.apps().await.unwrap();
    let slots: HashSet<u64> = apps.iter().map(|app| app.slot).collect();
    assert_eq!((made, apps.len(), slots.len()), (20, 21, 21));
}

#[tokio::test]
async fn a_writer_waits_for_the_lock_of_another() {
    let Some(bench) = Bench::postgres().await else { return };
    let client = raw(&bench).await;
    let lock = i64::from_be_bytes(*b"\0Skylift");
    client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({lock})")).await.unwrap();
    let name = "later".parse().unwrap();
    let mut made = std::pin::pin!(create_app(&bench.store, &name, bench.now));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut made).await.is_err(), "it waits");
    assert_eq!(bench.store.apps().await.unwrap().len(), 1, "readers do not");
    client.batch_execute("COMMIT").await.unwrap();
    assert!(made.await);
}

/// The control: without the lock, two transactions each find nothing, and both write.
#[tokio::test]
async fn without_the_lock_two_writers_do_not_see_each_other() {
    let Some(bench) = Bench::postgres().await else { return };
    let (one, other) = (raw(&bench).await, raw(&bench).await);
    one.batch_execute("CREATE TABLE once (n INT)").await.unwrap();
    for client in [&one, &other] {
        client.batch_execute("BEGIN").await.unwrap();
        assert!(client.query("SELECT n FROM once", &[]).await.unwrap().is_empty());
        client.batch_execute("INSERT INTO once VALUES (1)").await.unwrap();
    }
    for client in [&one, &other] {
        client.batch_execute("COMMIT").await.unwrap();
    }
    assert_eq!(one.query("SELECT n FROM once", &[]).await.unwrap().len(), 2);
}

/// A process that starts must leave alone what others hold; what nobody renews is free when its time is up.
#[tokio::test]
async fn a_process_that_starts_takes_nothing_from_those_that_live() {
    let Some(bench) = Bench::postgres().await else { return };
    let other = bench.home.open().await;
    assert!(other.is_shared());
    bench.store.enqueue_commit("shop".parse().unwrap(), bench.now).await.unwrap();
    let lease = bench.store.lease(JobKind::Commit, bench.now, LEASE).await.unwrap().unwrap();
    // What a start does on shared rows: only leases that ended are taken back.
    assert!(other.reap(bench.now).await.unwrap().is_empty());
    assert!(other.lease(JobKind::Commit, bench.now, LEASE).await.unwrap().is_none());
    let later = bench.now.plus(LEASE / 2);
    bench.store.renew(lease.clone(), later, LEASE).await.unwrap();
    other.reap(bench.now.plus(LEASE)).await.unwrap();
    bench.store.renew(lease.clone(), later, LEASE).await.unwrap();
    // The control: what a process does that is alone with its rows would have taken it.
    other.reap_all(later).await.unwrap();
    assert!(matches!(bench.store.complete(lease).await, Err(StoreError::Fenced)));
}

#[tokio::test]
async fn two_processes_that_answer_one_key_give_one_answer() {
    let Some(bench) = Bench::postgres().await else { return };
    let other = bench.home.open().await;
    for n in 0..50_u32 {
        let name = format!("k{n}");
        let ask = |store: Store, own: &'static [u8]| {
            let (name, now) = (name.clone(), bench.now);
            async move {
                let answer = Answer { status: 200, body: own.to_vec() };
                let told = store.remember(key(&name, b"same"), answer, now).await.unwrap();
                let made = store.create_deployment(archive(), once(&format!("d{name}"), b"same"), now).await.unwrap();
                let (Done::Now(_, made) | Done::Before(made)) = made;
                (told, made)
            }
        };
        let (one, two) = tokio::join!(ask(bench.store.clone(), b"one"), ask(other.clone(), b"two"));
        assert_eq!(one, two);
    }
}
