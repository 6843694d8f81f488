//! All rows into another store.

use std::time::Duration;

use skylift_model::{DeploymentState, Timestamp};
use skylift_store::{Room, Store, StoreError};

use crate::bench::{Bench, Home, app};

/// Rows of every kind that is easily made.
async fn filled(mut bench: Bench) -> Bench {
    for _ in 0..3 {
        bench.deploy_and_go_live().await;
    }
    let id = bench.deploy().await;
    // More than are read at once, with what a server's text cannot hold.
    for n in 0..1200 {
        bench.print(&id, &format!("line {n} \0 ü")).await;
    }
    bench.set_env(0, b"sealed").await.unwrap();
    bench
}

async fn room(from: &Store, to: &Store) -> Room {
    to.make_room(from.origin().await.unwrap()).await.unwrap()
}

/// From one kind of database into the other and back: the same rows everywhere, and the store goes on.
#[tokio::test]
async fn rows_are_the_same_in_either_database_and_go_on_there() {
    let Some(other) = Bench::postgres().await else { return };
    let Home::Postgres(server) = &other.home else { unreachable!() };
    let bench = filled(Bench::sqlite().await).await;
    assert_eq!(room(&bench.store, &other.store).await, Room::Taken, "it has an app");
    other
        .store
        .delete_app(app(), skylift_store::WithData::No, skylift_store::Once::default(), bench.now)
        .await
        .unwrap();
    drop(other.store);

    let client = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(client.1);
    client
        .0
        .batch_execute("DELETE FROM counters; DELETE FROM facts; DELETE FROM tokens; DELETE FROM removed_apps")
        .await
        .unwrap();
    let to = until_alone(&server.url()).await;
    assert!(matches!(Store::connect(&server.url()).await, Err(StoreError::InUse)), "nobody serves from it meanwhile");
    assert!(matches!(Store::connect_alone(&server.url()).await, Err(StoreError::InUse)));

    assert_eq!(room(&bench.store, &to).await, Room::Empty);
    assert_eq!(room(&bench.store, &to).await, Room::Empty, "the same move may begin again");
    let stranger = Bench::sqlite().await;
    assert_eq!(room(&stranger.store, &to).await, Room::Taken, "another one may not");
    let moved = to.take_over(&bench.store).await.unwrap();
    assert!(moved.iter().any(|table| table.table == "log_lines" && table.rows > 1000), "{moved:?}");
    assert_eq!(room(&bench.store, &to).await, Room::Done);

    let folder = tempfile::tempdir().unwrap();
    let back = Store::open(&folder.path().join("skylift.db")).unwrap();
    assert_eq!(room(&to, &back).await, Room::Empty);
    let again = back.take_over(&to).await.unwrap();
    let rows = |moved: &[skylift_store::Moved]| {
        moved.iter().filter(|table| table.table != "facts").cloned().collect::<Vec<_>>()
    };
    assert_eq!(rows(&moved), rows(&again));

    // Numbers that tables give out go on beyond those that were brought.
    let live = to.app(app()).await.unwrap().live;
    for store in [to, back] {
        let now = Timestamp::from_millis(9_000_000);
        let undone = store.roll_back(app(), None, skylift_store::Once::default(), now).await.unwrap().made().unwrap();
        assert!(undone.deployment.state == DeploymentState::Live && Some(&undone.deployment.id) != live.as_ref());
    }
}

/// A session that was just dropped may hold the database for a moment longer.
async fn until_alone(url: &str) -> Store {
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    loop {
        pause.tick().await;
        match Store::connect_alone(url).await {
            Err(StoreError::InUse) => {}
            opened => return opened.unwrap(),
        }
    }
}
