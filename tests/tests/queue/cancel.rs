//! Cancelling, in every state.

use std::time::Duration;

use skylift_model::DeploymentState;
use skylift_model::wire::Deployment;
use skylift_tests::archive::Tar;
use skylift_tests::random::{Random, rounds};
use skylift_tests::{App, Platform, process, projects, site, skip, wait};

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
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn cancels_that_race_with_the_build_and_each_other_leave_one_end() {
    const LANES: u64 = 4;
    let mut random = Random::seeded();
    let platform = Platform::configured("[build]\nconcurrency = 2").await;
    let app = |lane| platform.app(["race-a", "race-b", "race-c", "race-d"][lane]);
    let apps = [app(0).await, app(1).await, app(2).await, app(3).await];
    let (mut cancelled, mut live) = (0, 0);
    for round in 0..rounds(20, 10_000).div_ceil(LANES) {
        let [one, two, three, four] = apps.each_ref();
        let mut at = || Duration::from_millis(random.below(60));
        let ends = tokio::join!(
            race(one, round, at()),
            race(two, round, at()),
            race(three, round, at()),
            race(four, round, at())
        );
        let in_time =
            <[DeploymentState; 4]>::from(ends).iter().filter(|end| **end == DeploymentState::Cancelled).count();
        (cancelled, live) = (cancelled + in_time, live + 4 - in_time);
    }
    for app in &apps {
        app.deploy(&site("goes on")).await;
        assert_eq!(app.get("/").await.brief(), "200 goes on");
    }
    assert!(cancelled > 0, "no cancel was in time");
    eprintln!("figure: {} races of two cancels with a build, {cancelled} cancelled, {live} live", cancelled + live);
}

/// One deployment that two cancel; returns its one end.
async fn race(app: &App<'_>, round: u64, moment: Duration) -> DeploymentState {
    let answer = app.post_archive(Tar::new().file("index.html", format!("page {round}")).gzip()).await;
    assert_eq!(answer.status, 202, "{}", answer.brief());
    let deployment: Deployment = serde_json::from_value(answer.json()).unwrap();
    let client = app.platform.client();
    let cancel = || async {
        // The moment is the race that is tried; nothing waits for it.
        tokio::time::sleep(moment).await;
        client.cancel(&deployment.id).await.map(|deployment| deployment.state)
    };
    let (one, two) = tokio::join!(cancel(), cancel());
    let settled = app.settled(&deployment.id).await.state;
    let expected = if one.is_ok() || two.is_ok() { DeploymentState::Cancelled } else { DeploymentState::Live };
    assert_eq!(settled, expected, "{one:?} {two:?}");
    settled
}
