//! Several deploys at once.

use skylift_model::DeploymentState;
use skylift_tests::archive::Tar;
use skylift_tests::{Platform, Request, projects, site, skip};
use tokio::task::JoinSet;

#[tokio::test]
async fn of_ten_deploys_at_once_the_newest_is_live_and_none_is_left_over() {
    let platform = Platform::configured("[build]\nconcurrency = 3").await;
    let app = platform.app("burst").await;
    let mut sending = JoinSet::new();
    for number in 0..10 {
        let body = Tar::new().file("index.html", format!("page {number}")).gzip();
        let request = Request::post("/v1/apps/burst/deployments").body(body).host("localhost");
        sending.spawn(request.token(&platform.token()).send(platform.address()));
    }
    let answers = sending.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == 202), "{:?}", answers.iter().map(|a| a.brief()));

    let accepted = app.deployments().await;
    assert_eq!(accepted.len(), 10);
    for deployment in &accepted {
        app.settled(&deployment.id).await;
    }
    let settled = app.deployments().await;
    assert_eq!(settled[0].state, DeploymentState::Live, "the newest");
    let ended = [DeploymentState::Previous, DeploymentState::Superseded];
    assert!(settled[1..].iter().all(|deployment| ended.contains(&deployment.state)), "{settled:?}");
    let newest = platform.get(&skylift_tests::app::host_of(&settled[0]), "/").await;
    assert_eq!(app.get("/").await.text(), newest.text());
}

#[tokio::test]
async fn a_newer_deploy_overtakes_those_that_wait_but_not_the_one_that_builds() {
    if !skip::unless_node("a_newer_deploy_overtakes_those_that_wait_but_not_the_one_that_builds") {
        return;
    }
    let platform = Platform::configured("[build]\nconcurrency = 3").await;
    let app = platform.app("overtake").await;
    let building = app.begin(&projects::slow("slow", 1000, "slow")).await;
    app.logs_line(&building.id, "started").await;
    let overtaken = app.begin(&site("overtaken")).await;
    let newest = app.begin(&site("newest")).await;
    assert_eq!(app.settled(&overtaken.id).await.state, DeploymentState::Superseded);
    assert_eq!(app.settled(&newest.id).await.state, DeploymentState::Live);
    assert_eq!(app.settled(&building.id).await.state, DeploymentState::Previous, "it was live in between");
    assert_eq!(app.get("/").await.brief(), "200 newest");
}

#[tokio::test]
async fn apps_do_not_wait_for_each_other_while_there_are_builders() {
    if !skip::unless_node("apps_do_not_wait_for_each_other_while_there_are_builders") {
        return;
    }
    let platform = Platform::configured("[build]\nconcurrency = 2").await;
    let slow = platform.app("slow").await;
    let endless = slow.begin(&projects::endless("neighbour")).await;
    slow.logs_line(&endless.id, "started").await;
    let quick = platform.app("quick").await;
    quick.deploy(&site("quick")).await;
    assert_eq!(platform.client().deployment(&endless.id).await.unwrap().state, DeploymentState::Building);
}
