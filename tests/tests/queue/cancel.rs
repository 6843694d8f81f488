//! Cancelling, in every state.

use std::time::Duration;

use skylift_model::DeploymentState;
use skylift_tests::random::{Random, rounds};
use skylift_tests::{Platform, process, projects, site, skip, wait};

/// How long a cancelled build may live on: what the contract says.
const GONE_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_cancelled_build_is_gone_at_once_and_the_queue_moves_on() {
    if !skip::unless_node("a_cancelled_build_is_gone_at_once_and_the_queue_moves_on") {
        return;
    }
    let platform = Platform::configured("[build]\nconcurrency = 1").await;
    let app = platform.app("cancelled").await;
    let marker = format!("cancel-{}", platform.port());
    let endless = app.begin(&projects::endless(&marker)).await;
    app.logs_line(&endless.id, "started").await;
    let waiting = platform.app("waiting").await;
    let next = waiting.begin(&site("next")).await;
    assert!(!process::with_marker(&marker).is_empty(), "control: the build can be seen");

    let answer = platform.cli(&["cancel", endless.id.as_str()]).await.ok();
    assert!(answer.stdout.contains("cancelled"), "{answer:?}");
    let gone = async || process::with_marker(&marker).is_empty().then_some(());
    wait::until_within(GONE_WITHIN, "the build's processes are gone", gone).await;
    assert_eq!(waiting.settled(&next.id).await.state, DeploymentState::Live);
    assert_eq!(app.settled(&endless.id).await.state, DeploymentState::Cancelled);
    let log = platform.cli(&["logs", "cancelled"]).await.ok();
    assert!(log.stdout.ends_with("| cancelled by the owner\n"), "{}", log.stdout);
    app.deploy(&site("the same app goes on too")).await;
}

#[tokio::test]
async fn a_waiting_build_shows_its_place_and_can_be_cancelled() {
    if !skip::unless_node("a_waiting_build_shows_its_place_and_can_be_cancelled") {
        return;
    }
    let platform = Platform::configured("[build]\nconcurrency = 1").await;
    let running = platform.app("running").await;
    let endless = running.begin(&projects::endless("in-the-way")).await;
    running.logs_line(&endless.id, "started").await;
    let mut waiting = Vec::new();
    for name in ["first", "second", "third"] {
        waiting.push(platform.app(name).await.begin(&site(name)).await);
    }
    let client = platform.client();
    for (place, deployment) in waiting.iter().enumerate() {
        let shown = client.deployment(&deployment.id).await.unwrap();
        assert_eq!(shown.queue_position, Some(place as u64 + 1), "{}: the running one is before it too", shown.app);
    }
    assert_eq!(client.cancel(&waiting[0].id).await.unwrap().state, DeploymentState::Cancelled);
    assert_eq!(client.deployment(&waiting[1].id).await.unwrap().queue_position, Some(1));
    client.cancel(&endless.id).await.unwrap();
    for deployment in &waiting[1..] {
        assert_eq!(running.settled(&deployment.id).await.state, DeploymentState::Live);
    }
    assert_eq!(running.settled(&waiting[0].id).await.state, DeploymentState::Cancelled);
}

#[tokio::test]
async fn what_is_over_cannot_be_cancelled() {
    let platform = Platform::start().await;
    let app = platform.app("over").await;
    let live = app.deploy(&site("live")).await;
    platform.cli(&["cancel", live.id.as_str()]).await.ends_with(5);
    let target = format!("/v1/deployments/{}/cancel", live.id);
    platform.api(skylift_tests::Request::post(&target)).await.is_error(409, "conflict");
    assert_eq!(app.get("/").await.brief(), "200 live");
}

#[tokio::test]
async fn cancels_that_race_with_the_build_and_each_other_leave_one_end() {
    let mut random = Random::seeded();
    let platform = Platform::start().await;
    let app = platform.app("race").await;
    for round in 0..rounds(20, 2000) {
        let deployment = app.begin(&site(&format!("page {round}"))).await;
        let client = platform.client();
        let moment = Duration::from_millis(random.below(40));
        let cancel = || async {
            // The moment is the race that is tried; nothing waits for it.
            tokio::time::sleep(moment).await;
            client.cancel(&deployment.id).await.map(|deployment| deployment.state)
        };
        let (one, two) = tokio::join!(cancel(), cancel());
        let settled = app.settled(&deployment.id).await.state;
        if one.is_ok() || two.is_ok() {
            assert_eq!(settled, DeploymentState::Cancelled, "{one:?} {two:?}");
        } else {
            assert_eq!(settled, DeploymentState::Live, "{one:?} {two:?}");
        }
    }
    app.deploy(&site("goes on")).await;
    assert_eq!(app.get("/").await.brief(), "200 goes on");
}
