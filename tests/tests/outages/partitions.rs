//! Processes that cannot reach each other, or their stores.

use skylift_model::DeploymentState;
use skylift_tests::probe::Probe;
use skylift_tests::spread::OwnStores;
use skylift_tests::{Platform, Request, projects, site, skip, wait};

use crate::ledger::{KEEPS_ALL, Ledger};

/// The bare domain answers for now, in time, and says when to come back.
async fn is_away(platform: &Platform) {
    let answer = platform.api(Request::get("/v1/apps")).await;
    answer.is_error(503, "unavailable");
    assert!(!answer.header("retry-after").is_empty(), "{}", answer.brief());
}

async fn is_back(platform: &Platform) {
    let answers = async || (platform.api(Request::get("/v1/apps")).await.status == 200).then_some(());
    wait::until("the API answers again", answers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_cut_off_from_everything_serves_what_it_had_and_catches_up() {
    let name = "an_edge_cut_off_from_everything_serves_what_it_had_and_catches_up";
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.up().await;
    let app = platform.app("shop").await;
    app.deploy(&site("shop")).await;
    // What was never asked for is only in the object store.
    assert_eq!(app.get("/").await.brief(), "200 shop");
    let probe = Probe::start(platform.address(), &app.host(), "shop");
    let spread = platform.spread.as_ref().unwrap();
    for round in 0..2 {
        spread.edge.cut();
        spread.edge_to_api.cut();
        is_away(&platform).await;
        assert!(app.get("/").await.brief().starts_with("200 shop"));
        spread.edge_to_api.mend();
        is_back(&platform).await;

        // The others go on without it: who waits for "live" waits no longer than this edge counts.
        let page = format!("shop {round}");
        let deployed = app.begin(&site(&page)).await;
        let settled = app.reaches(&deployed.id, DeploymentState::Live).await;
        assert_ne!(app.get("/").await.brief(), format!("200 {page}"), "control: it is cut off, after {settled:?}");
        spread.edge.mend();
        let is_served = async || (app.get("/").await.brief() == format!("200 {page}")).then_some(());
        wait::until("it catches up", is_served).await;
    }
    probe.was_never_let_down();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_whose_cable_is_pulled_is_told_as_away_in_time_and_loses_nothing() {
    let name = "an_api_whose_cable_is_pulled_is_told_as_away_in_time_and_loses_nothing";
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.up().await;
    let app = platform.app("shop").await;
    app.deploy(&site("page")).await;
    let probe = Probe::start(platform.address(), &app.host(), "page");
    let mut ledger = Ledger::new("shop");
    let spread = platform.spread.as_ref().unwrap();
    assert!(ledger.send(&platform).await, "control: everything is there");
    spread.api.namespace.unplug();
    is_away(&platform).await;
    assert!(!ledger.send(&platform).await);
    spread.api.namespace.plug_in();
    is_back(&platform).await;
    wait::until("deploys are accepted again", async || ledger.send(&platform).await.then_some(())).await;
    ledger.holds(&platform).await;
    probe.was_never_let_down();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_builder_cut_off_in_the_middle_of_a_build_has_one_result() {
    let name = "a_builder_cut_off_in_the_middle_of_a_build_has_one_result";
    if !skip::unless_node(name) {
        return;
    }
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.up().await;
    let app = platform.app("shop").await;
    app.deploy(&site("before")).await;
    let probe = Probe::start(platform.address(), &app.host(), "");
    let spread = platform.spread.as_ref().unwrap();
    let deployment = app.begin(&projects::slow("built", 3000, &format!("cut-{}", std::process::id()))).await;
    app.logs_line(&deployment.id, "started").await;
    spread.build.namespace.unplug();
    assert_eq!(app.get("/").await.brief(), "200 before");
    let status = platform.client().deployment(&deployment.id).await.unwrap();
    assert_eq!(status.state, DeploymentState::Building, "nobody has taken it away");
    spread.build.namespace.plug_in();
    assert_eq!(app.settled(&deployment.id).await.state, DeploymentState::Live);
    let is_served = async || (app.get("/").await.brief() == "200 built").then_some(());
    wait::until("the edge serves it", is_served).await;
    let events = platform.client().events(&deployment.id).collect().await.unwrap();
    assert_eq!(events.iter().filter(|event| event.state == DeploymentState::Live).count(), 1, "{events:?}");
    probe.was_never_let_down();
}
