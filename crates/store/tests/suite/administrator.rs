//! What the server's administrator sets, locks and takes away while we use the database.

use std::time::Duration;

use skylift_model::Timestamp;
use skylift_peers::Postgres;
use skylift_store::{Once, Store, StoreError};
use tokio_postgres::Client;

use crate::bench::{Bench, Home, app, create_app};
use crate::commits::{WRITER_LOCK, raw};

/// Waits until one session of the database waits for a lock.
async fn until_one_waits(client: &Client) {
    let waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while client.query(waits, &[]).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        client.batch_execute("SELECT pg_stat_clear_snapshot()").await.unwrap();
    }
}

/// Whoever waited for the writer's lock sees what the one before it did, whatever a transaction is on this server unless it says
/// what it is to be.
#[tokio::test]
async fn a_writer_sees_what_was_written_while_it_waited_whatever_isolation_the_server_prefers() {
    let settings = ["fsync=off", "default_transaction_isolation=repeatable read"];
    let Some(server) = Postgres::start_with(&settings) else { return };
    let bench = Bench::at(Home::Postgres(server)).await;
    let Home::Postgres(server) = &bench.home else { unreachable!() };
    let other = raw(&server.url()).await;
    other.batch_execute(&format!("SELECT pg_advisory_lock({WRITER_LOCK})")).await.unwrap();
    let (store, now) = (bench.store.clone(), bench.now);
    let made = tokio::spawn(async move { create_app(&store, &app(), now).await });
    until_one_waits(&other).await;
    // The other process removes the app, and is done.
    other.batch_execute(&format!("DELETE FROM apps; SELECT pg_advisory_unlock({WRITER_LOCK})")).await.unwrap();
    assert!(made.await.unwrap(), "it is told that the app is there, which is not");
}

#[tokio::test]
async fn a_writer_waits_for_another_however_short_the_server_lets_others_wait_for_locks() {
    let Some(server) = Postgres::start_with(&["fsync=off", "lock_timeout=100ms"]) else { return };
    let bench = Bench::at(Home::Postgres(server)).await;
    let Home::Postgres(server) = &bench.home else { unreachable!() };
    let other = raw(&server.url()).await;
    other.batch_execute(&format!("SELECT pg_advisory_lock({WRITER_LOCK})")).await.unwrap();
    let name = "later".parse().unwrap();
    let mut made = std::pin::pin!(create_app(&bench.store, &name, bench.now));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut made).await.is_err(), "it waits");
    // The control: somebody else on the same server does not.
    let hasty = raw(&server.url()).await;
    assert!(hasty.batch_execute(&format!("SELECT pg_advisory_lock({WRITER_LOCK})")).await.is_err());
    other.batch_execute(&format!("SELECT pg_advisory_unlock({WRITER_LOCK})")).await.unwrap();
    assert!(made.await);
}

/// A table that somebody works on (`VACUUM FULL`, `ALTER TABLE`) holds nobody up who needs others.
#[tokio::test]
async fn a_table_that_is_locked_for_long_is_told_as_passing_and_the_others_are_written_meanwhile() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let deployment = bench.deploy().await;
    let Home::Postgres(server) = &bench.home else { unreachable!() };
    let owner = raw(&server.url()).await;
    owner.batch_execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let cancelled = bench.store.cancel_deployment(deployment.clone(), Once::default(), bench.now);
    let (written, read) = tokio::join!(cancelled, bench.store.events(deployment.clone(), 0));
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{:?}", written.err());
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert_eq!(bench.set_env(0, b"x").await.unwrap(), 1, "what needs other tables goes on");
    owner.batch_execute("COMMIT").await.unwrap();
    bench.store.cancel_deployment(deployment, Once::default(), bench.now).await.unwrap();
}

#[tokio::test]
async fn who_is_shut_out_says_that_it_passes_and_goes_on_when_it_is_let_in() {
    let Some(server) = Postgres::start() else { return };
    let url = server.new_database().replace("postgres://postgres@", "postgres://guest@");
    let admin = raw(&server.url()).await;
    admin.batch_execute("CREATE ROLE guest LOGIN; ALTER DATABASE db0 OWNER TO guest").await.unwrap();
    let now = Timestamp::from_millis(1);
    for (shut, open) in [
        ("ALTER ROLE guest NOLOGIN", "ALTER ROLE guest LOGIN"),
        ("ALTER DATABASE db0 ALLOW_CONNECTIONS false", "ALTER DATABASE db0 ALLOW_CONNECTIONS true"),
        ("ALTER DATABASE db0 RENAME TO elsewhere", "ALTER DATABASE elsewhere RENAME TO db0"),
        ("ALTER ROLE guest CONNECTION LIMIT 0", "ALTER ROLE guest CONNECTION LIMIT -1"),
    ] {
        admin.batch_execute(shut).await.unwrap();
        let store = Store::connect_later(&url).unwrap();
        let (read, written) = tokio::join!(store.apps(), store.create_app(app(), Once::default(), now));
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{shut}: {read:?}");
        assert!(matches!(written, Err(StoreError::Unavailable(_))), "{shut}: {:?}", written.err());
        admin.batch_execute(open).await.unwrap();
        create_app(&store, &app(), now).await;
        assert_eq!(store.apps().await.unwrap().len(), 1, "{open}");
        drop(store);
        let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'guest'";
        admin.batch_execute(end).await.unwrap();
    }
}

/// A newer program has brought the database up to date, and this one has to connect again.
#[tokio::test]
async fn a_writer_that_is_older_than_the_schema_writes_nothing_and_says_that_it_passes() {
    let Some(bench) = Bench::postgres().await else { return };
    let Home::Postgres(server) = &bench.home else { unreachable!() };
    let other = raw(&server.url()).await;
    let newer = "INSERT INTO schema_version (version) VALUES (1000);
         SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'skylift'";
    other.batch_execute(newer).await.unwrap();
    let refused = bench.set_env(0, b"x").await;
    let Err(StoreError::Unavailable(why)) = &refused else { panic!("{refused:?}") };
    assert!(why.contains("schema 1000"), "{why}");
    assert!(
        matches!(Store::connect(&server.url()).await.err(), Some(StoreError::Newer { .. })),
        "who starts is refused"
    );
    other.batch_execute("DELETE FROM schema_version WHERE version = 1000").await.unwrap();
    assert_eq!(bench.set_env(0, b"x").await.unwrap(), 1);
}
