//! PostgreSQL, Redis and the object store, killed, frozen, emptied and cut off.

use skylift_tests::probe::Probe;
use skylift_tests::spread::OwnStores;
use skylift_tests::{Platform, site, wait};

use crate::ledger::{KEEPS_ALL, Ledger};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_killed_in_the_middle_of_deploys_costs_no_visitor_and_no_deploy() {
    let name = "a_database_killed_in_the_middle_of_deploys_costs_no_visitor_and_no_deploy";
    let Some(mut stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.up().await;
    let (steady, busy) = (platform.app("steady").await, platform.app("busy").await);
    steady.deploy(&site("steady")).await;
    let probe = Probe::start(platform.address(), &steady.host(), "steady");
    let mut ledger = Ledger::new("busy");
    for _ in 0..3 {
        assert!(ledger.send(&platform).await, "control: everything is there");
        stores.postgres.kill();
        // Who asks meanwhile is told to come back; what was acknowledged may be anywhere on its way.
        assert!(!ledger.send(&platform).await, "nothing can be acknowledged without the database");
        assert_eq!(steady.get("/").await.brief(), "200 steady");
        stores.postgres.start_again();
        wait::until("deploys are accepted again", async || ledger.send(&platform).await.then_some(())).await;
    }
    ledger.holds(&platform).await;
    busy.deploy(&site("goes on")).await;
    assert_eq!(busy.get("/").await.brief(), "200 goes on");
    probe.was_never_let_down();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_emptied_frozen_and_killed_costs_no_visitor_and_no_deploy() {
    let name = "a_redis_emptied_frozen_and_killed_costs_no_visitor_and_no_deploy";
    let Some(mut stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.up().await;
    let app = platform.app("shop").await;
    app.deploy(&site("shop 0")).await;
    let probe = Probe::start(platform.address(), &app.host(), "shop");

    assert!(stores.redis.command("FLUSHALL").await.contains("OK"));
    app.deploy(&site("shop 1")).await;
    assert_eq!(app.get("/").await.brief(), "200 shop 1");

    // Frozen: nobody hears anybody, whatever is done is found by looking. Two deploys take longer than half a minute.
    stores.redis.freeze();
    for page in ["shop 2", "shop 3"] {
        app.deploy(&site(page)).await;
        let is_served = async || (app.get("/").await.brief() == format!("200 {page}")).then_some(());
        wait::until("the edge finds it by itself", is_served).await;
    }
    stores.redis.thaw();
    stores.redis.kill();
    stores.redis.run().await;
    wait::until("a deploy is served at once when it is live: they hear each other again", async || {
        let began = std::time::Instant::now();
        app.deploy(&site("shop 4")).await;
        (began.elapsed().as_secs() < 5).then_some(())
    })
    .await;
    assert_eq!(app.get("/").await.brief(), "200 shop 4");
    probe.was_never_let_down();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_that_is_cut_off_costs_no_visitor_and_no_deploy() {
    let name = "an_object_store_that_is_cut_off_costs_no_visitor_and_no_deploy";
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.up().await;
    let (steady, busy) = (platform.app("steady").await, platform.app("busy").await);
    steady.deploy(&site("steady")).await;
    assert_eq!(steady.get("/").await.brief(), "200 steady");
    let probe = Probe::start(platform.address(), &steady.host(), "steady");
    let mut ledger = Ledger::new("busy");
    let spread = platform.spread.as_ref().unwrap();
    for round in 0..2 {
        assert!(ledger.send(&platform).await, "control: everything is there");
        for place in [&spread.edge, &spread.api, &spread.build] {
            place.s3.cut();
        }
        assert!(!ledger.send(&platform).await, "bytes that are nowhere are not acknowledged");
        assert_eq!(steady.get("/").await.brief(), "200 steady");
        for place in [&spread.edge, &spread.api, &spread.build] {
            place.s3.mend();
        }
        wait::until("deploys are accepted again", async || ledger.send(&platform).await.then_some(())).await;
        busy.deploy(&site(&format!("round {round}"))).await;
    }
    ledger.holds(&platform).await;
    probe.was_never_let_down();
}
