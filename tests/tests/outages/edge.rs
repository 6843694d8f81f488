//! An edge that starts while nothing it needs is there, and edges that count.

use rustix::process::Signal;
use skylift_client::Client;
use skylift_model::DeploymentState;
use skylift_model::wire::Deployment;
use skylift_tests::archive::Tar;
use skylift_tests::spread::OwnStores;
use skylift_tests::{Platform, Request, site, wait};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_starts_without_any_store_and_serves_what_it_had() {
    let name = "an_edge_starts_without_any_store_and_serves_what_it_had";
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), "");
    platform.up().await;
    {
        let app = platform.app("shop").await;
        app.deploy(&site("shop").file("never.html", "never asked for")).await;
        assert_eq!(app.get("/").await.brief(), "200 shop");
    }
    platform.spread.as_ref().unwrap().edge.cut();
    platform.kill_role("edge").await;
    platform.up().await;
    let app = platform.existing("shop");
    assert_eq!(app.get("/").await.brief(), "200 shop");
    let away = app.get("/never").await;
    assert_eq!((away.status, away.header("retry-after")), (503, "5"), "{}", away.brief());
    assert_eq!(platform.get("other.localhost", "/").await.status, 404);

    platform.spread.as_ref().unwrap().edge.mend();
    let is_there = async || (app.get("/never").await.brief() == "200 never asked for").then_some(());
    wait::until("what was out of reach is served", is_there).await;
    let deployed = app.begin(&site("after")).await;
    app.settled(&deployed.id).await;
    let is_served = async || (app.get("/").await.brief() == "200 after").then_some(());
    wait::until("it takes up the truth", is_served).await;

    // Rows that somebody deletes in the same database take no app out, not even at a start.
    let removed = platform.app("removed").await;
    removed.deploy(&site("removed")).await;
    platform.cli(&["rm", "removed", "--yes"]).await.ok();
    stores.postgres.by_hand("DELETE FROM apps");
    platform.kill_role("edge").await;
    platform.up().await;
    assert_eq!(platform.existing("shop").get("/").await.brief(), "200 after");
    let edge = platform.spread.as_ref().unwrap().edge.listens();
    let ready = Request::get("/readyz").host("localhost").send(edge).await;
    assert!(ready.status == 200 && ready.text().contains("nobody removed: 1"), "{}", ready.brief());
    assert_eq!(platform.get("removed.localhost", "/").await.status, 404, "control: one was removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_is_told_only_when_an_edge_that_counts_serves_it() {
    let name = "live_is_told_only_when_an_edge_that_counts_serves_it";
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), "");
    platform.up().await;
    platform.app("shop").await.deploy(&site("one")).await;
    let api = platform.spread.as_ref().unwrap().api.listens();
    let client = Client::new(format!("http://{api}").parse().unwrap(), Some(&platform.token())).unwrap();
    let token = platform.token();
    let begin = async |page: &str| -> Deployment {
        let body = Tar::new().file("index.html", page).gzip();
        let request = Request::post("/v1/apps/shop/deployments").body(body).host("localhost").token(&token);
        serde_json::from_value(request.send(api).await.json()).unwrap()
    };
    let is_live = async |deployment: &Deployment| {
        let live =
            async || (client.deployment(&deployment.id).await.unwrap().state == DeploymentState::Live).then_some(());
        wait::until("it is live in the rows", live).await;
    };

    platform.signal_role("edge", Signal::STOP);
    let second = begin("two").await;
    is_live(&second).await;
    let mut telling = tokio::spawn({
        let (client, id) = (client.clone(), second.id.clone());
        async move { client.events(&id).collect().await.unwrap() }
    });
    let early = tokio::time::timeout(std::time::Duration::from_secs(2), &mut telling).await;
    assert!(early.is_err(), "told although the one edge does not serve it");
    platform.signal_role("edge", Signal::CONT);
    telling.await.unwrap();
    assert_eq!(platform.existing("shop").get("/").await.brief(), "200 two");

    // One that died stops counting, and holds nobody up for ever.
    platform.kill_role("edge").await;
    let third = begin("three").await;
    is_live(&third).await;
    client.events(&third.id).collect().await.unwrap();
    platform.up().await;
    assert_eq!(platform.existing("shop").get("/").await.brief(), "200 three");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_with_another_master_key_is_refused() {
    let Some(stores) = OwnStores::start("a_process_with_another_master_key_is_refused").await else { return };
    let mut platform = Platform::spread(&stores.shared(), "");
    platform.up().await;
    platform.kill_role("build").await;
    let other = platform.data().join("another-key");
    std::fs::write(&other, "ab".repeat(32)).unwrap();
    platform.set_environment("SKYLIFT_MASTER_KEY_FILE", other.to_str().unwrap());
    assert!(!platform.try_up().await, "it started");
    platform.clear_environment();
    platform.up().await;
    platform.app("shop").await.deploy(&site("with the right key")).await;
}
