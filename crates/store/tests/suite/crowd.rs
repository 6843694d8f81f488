//! A server with no room for one more, and a pooler on the way to it (threat 95).

use skylift_model::DeploymentState;
use skylift_peers::{Pooler, Postgres};
use skylift_store::{Store, StoreError};

use crate::bench::{Bench, Home};
use crate::commits::raw;

#[tokio::test]
async fn a_server_that_takes_no_more_connections_is_told_as_away_and_used_when_it_has_room() {
    let Some(server) = Postgres::start_with(&["fsync=off", "max_connections=12", "max_wal_senders=0"]) else { return };
    let url = server.url();
    let mut bench = Bench::at(Home::Postgres(server)).await;
    let deployment = bench.deploy().await;
    let mut crowd = Vec::new();
    loop {
        match tokio_postgres::connect(&url, tokio_postgres::NoTls).await {
            Ok((client, connection)) => crowd.push((client, tokio::spawn(connection))),
            Err(error) => {
                assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::TOO_MANY_CONNECTIONS));
                break;
            }
        }
    }
    // Whoever has a connection goes on.
    bench.set_env(0, b"x").await.unwrap();
    let refused = Store::connect(&url).await.err();
    assert!(matches!(refused, Some(StoreError::Unavailable(_))), "{refused:?}");
    for (client, connection) in crowd {
        drop(client);
        let _ = connection.await;
    }
    let store = Store::connect(&url).await.unwrap();
    assert_eq!(store.deployment(deployment).await.unwrap().state, DeploymentState::Queued);
    bench.set_env(1, b"y").await.unwrap();
}

#[tokio::test]
async fn a_pooler_that_keeps_sessions_may_pause_and_end_them() {
    let Some(server) = Postgres::start() else { return };
    let Some(pooler) = Pooler::start(&server, "session").await else { return };
    let mut bench = Bench::at(Home::Postgres(server)).await;
    let deployment = bench.deploy().await;
    let store = Store::connect(&pooler.url()).await.unwrap();
    let now = bench.now;
    let write =
        async |text: &str| store.add_event(deployment.clone(), DeploymentState::Queued, text.to_owned(), now).await;
    write("before").await.unwrap();
    let admin = raw(&pooler.admin_url()).await;
    // It ends all sessions, and lets new ones wait.
    admin.simple_query("KILL postgres").await.unwrap();
    let refused = write("paused").await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    admin.simple_query("RESUME postgres").await.unwrap();
    while write("after").await.is_err() {}
    let events = bench.store.events(deployment.clone(), 0).await.unwrap();
    let written = |text: &str| events.iter().filter(|event| event.message == text).count();
    assert_eq!((written("before"), written("paused"), written("after")), (1, 0, 1));
}

#[tokio::test]
async fn a_pooler_that_keeps_no_sessions_is_refused() {
    let Some(server) = Postgres::start() else { return };
    let Some(pooler) = Pooler::start(&server, "transaction").await else { return };
    let refused = Store::connect(&pooler.url()).await.err();
    assert!(matches!(refused, Some(StoreError::Pooled)), "{refused:?}");
    // The control: on the server itself.
    Store::connect(&server.url()).await.unwrap();
}
