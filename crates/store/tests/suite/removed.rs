//! Whether an app that is not there was removed, or lost.

use std::time::Duration;

use skylift_model::AppName;
use skylift_store::{Once, WithData};

use crate::bench::{Bench, Home, app, create_app};

/// Runs a statement past the store, as somebody at the database's own prompt would.
fn by_hand(home: &Home, sql: &str) {
    match home {
        Home::Sqlite(folder) => {
            let file = rusqlite::Connection::open(folder.path().join("skylift.db")).unwrap();
            file.execute_batch(&format!("PRAGMA foreign_keys = ON; {sql}")).unwrap();
        }
        Home::Postgres(server) => drop(server.by_hand(sql)),
    }
}

pub(crate) async fn an_app_that_is_missing_is_lost_unless_it_was_removed(mut bench: Bench) {
    let shop = app();
    let [blog, never]: [AppName; 2] = ["blog", "never"].map(|name| name.parse().unwrap());
    let asked = || vec![shop.clone(), blog.clone(), never.clone()];
    let remove = async |app: &AppName, now| {
        bench.store.delete_app(app.clone(), WithData::No, Once::default(), now).await.unwrap();
    };
    assert!(create_app(&bench.store, &blog, bench.now).await);
    assert_eq!(bench.store.lost_apps(asked()).await.unwrap(), std::slice::from_ref(&never), "the others are there");
    remove(&blog, bench.now).await;
    assert_eq!(bench.store.lost_apps(asked()).await.unwrap(), std::slice::from_ref(&never), "one was removed");
    by_hand(&bench.home, "DELETE FROM apps");
    assert_eq!(bench.store.lost_apps(asked()).await.unwrap(), [shop.clone(), never.clone()]);

    // A name that was given again is another app, which can be lost, too; and made again, to be removed as it should be.
    assert!(create_app(&bench.store, &blog, bench.now).await);
    by_hand(&bench.home, "DELETE FROM apps");
    assert_eq!(bench.store.lost_apps(asked()).await.unwrap(), asked());
    assert!(create_app(&bench.store, &shop, bench.now).await);
    remove(&shop, bench.now).await;
    assert_eq!(bench.store.lost_apps(asked()).await.unwrap(), [blog.clone(), never.clone()]);

    // It is remembered for longer than anybody is away.
    bench.now = bench.now.plus(Duration::from_secs(89 * 24 * 3600));
    bench.store.forget_unused(bench.now).await.unwrap();
    assert_eq!(bench.store.lost_apps(asked()).await.unwrap(), [blog.clone(), never.clone()]);
    bench.now = bench.now.plus(Duration::from_secs(2 * 24 * 3600));
    bench.store.forget_unused(bench.now).await.unwrap();
    assert_eq!(bench.store.lost_apps(asked()).await.unwrap(), asked(), "control: then it is forgotten");
}
