//! Transactions that the server ends in favour of others, and commits whose answer is lost (threat 94).

use std::time::Duration;

use skylift_model::{DeploymentId, DeploymentState, Timestamp};
use skylift_peers::Postgres;
use skylift_store::{Store, StoreError};
use tokio_postgres::{Client, NoTls};

use crate::bench::{Bench, Home, rounds};
use crate::way::{Cut, Way};

/// What a writer holds for as long as its transaction lasts: "Skylift" in ASCII.
pub(crate) const WRITER_LOCK: i64 = 0x53_6b79_6c69_6674;

pub(crate) async fn raw(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn write(store: &Store, deployment: &DeploymentId, text: &str) -> Result<(), StoreError> {
    let now = Timestamp::from_millis(1);
    store.add_event(deployment.clone(), DeploymentState::Queued, text.to_owned(), now).await
}

async fn times_written(store: &Store, deployment: &DeploymentId, text: &str) -> usize {
    let mut times = 0;
    let mut after = 0;
    loop {
        let some = store.events(deployment.clone(), after).await.unwrap();
        let Some(last) = some.last() else { return times };
        after = last.seq;
        times += some.iter().filter(|event| event.message == text).count();
    }
}

/// What the server is made to say of each write of an event: at once, or only when it is committed.
async fn refuse(client: &Client, code: &str, when: &str) {
    let (constraint, deferred) = match when {
        "commit" => ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED"),
        _ => ("", ""),
    };
    let sql = format!(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '{code}'; END $$;
         CREATE {constraint} TRIGGER refuse AFTER INSERT ON events {deferred} FOR EACH ROW EXECUTE FUNCTION refuse()"
    );
    client.batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_is_ended_in_favour_of_another_is_told_as_passing_and_leaves_nothing() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let deployment = bench.deploy().await;
    let Home::Postgres(server) = &bench.home else { unreachable!() };
    let client = raw(&server.url()).await;
    // Not serialisable; a deadlock; a lock that is not to be had; no memory; a disk that fails; and, as the control, something
    // that does not pass.
    let passing = ["40001", "40P01", "55P03", "53200", "58030"].map(|code| (code, true));
    for (code, passes) in passing.into_iter().chain([("23514", false)]) {
        for when in ["statement", "commit"] {
            let text = format!("{code} at {when}");
            refuse(&client, code, when).await;
            let done = write(&bench.store, &deployment, &text).await;
            assert_eq!(matches!(done, Err(StoreError::Unavailable(_))), passes, "{text}: {done:?}");
            assert!(done.is_err(), "{text}");
            client.batch_execute("DROP TRIGGER refuse ON events").await.unwrap();
            assert_eq!(times_written(&bench.store, &deployment, &text).await, 0, "{text}");
            write(&bench.store, &deployment, &text).await.unwrap();
            assert_eq!(times_written(&bench.store, &deployment, &text).await, 1, "{text}");
        }
    }
}

#[tokio::test]
async fn a_deadlock_with_somebody_else_ends_and_what_is_told_as_done_is_done() {
    let Some(bench) = Bench::postgres().await else { return };
    let Home::Postgres(server) = &bench.home else { unreachable!() };
    let client = raw(&server.url()).await;
    client.batch_execute("BEGIN; UPDATE apps SET name = name").await.unwrap();
    let store = bench.store.clone();
    let now = bench.now;
    // It takes the writer's lock, and waits for the row.
    let writes = tokio::spawn(async move {
        store.set_env("shop".parse().unwrap(), 0, b"x".to_vec(), skylift_store::Once::default(), now).await
    });
    let waits = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'skylift' AND wait_event_type = 'Lock'";
    while client.query(waits, &[]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
        client.batch_execute("SELECT pg_stat_clear_snapshot()").await.unwrap();
    }
    let lock = i64::from_be_bytes(*b"\0Skylift");
    let ours = client.batch_execute(&format!("SELECT pg_advisory_xact_lock({lock})")).await;
    let _ = client.batch_execute("ROLLBACK").await;
    let theirs = writes.await.unwrap();
    assert!(ours.is_err() || theirs.is_err(), "control: it was a deadlock");
    match theirs {
        Ok(_) => assert_eq!(bench.set_env(1, b"y").await.unwrap(), 2),
        Err(StoreError::Unavailable(_)) => assert_eq!(bench.set_env(0, b"x").await.unwrap(), 1),
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_in_the_middle_of_a_commit_is_resolved_by_looking() {
    let Some(server) = Postgres::start() else { return };
    let way = Way::to(&server);
    let mut bench = Bench::at(Home::Postgres(server)).await;
    let deployment = bench.deploy().await;
    let store = Store::connect(&way.url()).await.unwrap();
    let mut seen = [0; 2];
    for round in 0..rounds(10, 200) {
        for cut in [Cut::Before, Cut::Within, Cut::After] {
            let text = format!("{cut:?} {round}");
            way.cut_next(cut);
            let before = way.cuts();
            let done = write(&store, &deployment, &text).await;
            assert_eq!(way.cuts(), before + 1, "control: it was cut");
            let times = times_written(&bench.store, &deployment, &text).await;
            match (&done, cut) {
                (Ok(()), Cut::Within | Cut::After) => assert_eq!(times, 1, "{text}: acknowledged"),
                (Err(StoreError::Unavailable(_)), Cut::Before | Cut::Within) => assert_eq!(times, 0, "{text}: refused"),
                _ => panic!("{text}: {done:?}"),
            }
            seen[usize::from(done.is_ok())] += 1;
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

/// The control: whoever does not look is told of an error although it is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_a_client_that_does_not_look_cannot_know() {
    let Some(server) = Postgres::start() else { return };
    let way = Way::to(&server);
    let (cut, whole) = (raw(&way.url()).await, raw(&server.url()).await);
    whole.batch_execute("CREATE TABLE writers (n INT)").await.unwrap();
    way.cut_next(Cut::After);
    assert!(cut.batch_execute("BEGIN; INSERT INTO writers VALUES (1); COMMIT").await.is_err());
    assert_eq!(whole.query("SELECT n FROM writers", &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_that_somebody_else_holds_is_told_as_passing() {
    let mut bench = Bench::sqlite().await;
    let deployment = bench.deploy().await;
    let Home::Sqlite(folder) = &bench.home else { unreachable!() };
    let other = rusqlite::Connection::open(folder.path().join("skylift.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let done = write(&bench.store, &deployment, "held").await;
    assert!(matches!(done, Err(StoreError::Unavailable(_))), "{done:?}");
    assert_eq!(times_written(&bench.store, &deployment, "held").await, 0, "readers do not wait");
    // Whoever holds it for a moment only is waited for.
    let waits = {
        let (store, deployment) = (bench.store.clone(), deployment.clone());
        tokio::spawn(async move { write(&store, &deployment, "waited").await })
    };
    tokio::task::yield_now().await;
    other.execute_batch("COMMIT").unwrap();
    waits.await.unwrap().unwrap();
    assert_eq!(times_written(&bench.store, &deployment, "waited").await, 1);
}

#[tokio::test]
async fn who_waits_only_so_long_is_told_so_and_what_nobody_waits_for_any_more_is_not_begun() {
    let Some(mut bench) = Bench::postgres().await else { return };
    let deployment = bench.deploy().await;
    let Home::Postgres(server) = &bench.home else { unreachable!() };
    let client = raw(&server.url()).await;
    client.batch_execute(&format!("SELECT pg_advisory_lock({WRITER_LOCK})")).await.unwrap();
    let hasty = bench.store.with_patience(Duration::from_millis(200));
    for text in ["given up", "given up at once"] {
        let refused = write(&hasty, &deployment, text).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    // Control: who waits on is served.
    let free = format!("SELECT pg_advisory_unlock({WRITER_LOCK})");
    let (written, freed) = tokio::join!(write(&bench.store, &deployment, "waited for"), client.batch_execute(&free));
    assert!(written.is_ok() && freed.is_ok(), "{written:?} {freed:?}");
    for (text, times) in [("given up", 0), ("given up at once", 0), ("waited for", 1)] {
        assert_eq!(times_written(&bench.store, &deployment, text).await, times, "{text}");
    }
}
