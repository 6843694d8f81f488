//! What an owner says to a rollout: pause, resume, promote, abort; another deployment, a rollback.

use skylift_model::DeploymentState;
use skylift_model::rollout::RolloutState;
use skylift_tests::platform::Platform;

use super::count::{Count, failed, percent_of};
use super::{canary, has, has_share, live_app, rollout, server, steer};

#[tokio::test]
async fn a_canary_is_held_goes_on_is_taken_back_and_is_finished_by_hand() {
    let platform = Platform::start().await;
    let app = live_app(&platform, 1).await;
    let nothing = platform.cli(&["rollout", "shop", "pause"]).await;
    assert!(
        nothing.exit != 0 && nothing.stderr.contains("no rollout of app `shop` is under way"),
        "{}",
        nothing.stderr
    );
    let count = Count::begin(platform.address(), "shop.localhost");

    let second = app.begin(&canary("two", "steps = [50]\nstep_seconds = 3\n")).await;
    has_share(&app, &second.id, 50).await;
    let shown = steer(&platform, "pause").await;
    assert!(shown.contains("50 % of the requests, step 1 of 1 (paused)"), "{shown}");
    // Far more than the step's three seconds.
    let held = count.more(500).await;
    assert!((40..=60).contains(&percent_of(&held, "two")), "{} %", percent_of(&held, "two"));
    let held = platform.client().rollout(&app.name).await.unwrap();
    assert_eq!((held.state, held.share_percent), (RolloutState::Paused, 50));
    steer(&platform, "resume").await;
    assert_eq!(app.settled(&second.id).await.state, DeploymentState::Live);
    has(&app, &second.id, 1).await;

    let endless = "steps = [50]\nstep_seconds = 600\n";
    let third = app.begin(&canary("three", endless)).await;
    has_share(&app, &third.id, 50).await;
    let shown = steer(&platform, "abort").await;
    assert!(shown.contains("rollout aborted by its owner"), "{shown}");
    // Every edge has said that it asks the old version alone.
    assert_eq!(percent_of(&count.more(100).await, "two"), 100);
    let failure = app.settled(&third.id).await.failure.unwrap();
    assert_eq!((failure.step.as_str(), failure.message.as_str()), ("rollout", "rollout aborted by its owner"));

    let fourth = app.begin(&canary("four", endless)).await;
    has_share(&app, &fourth.id, 50).await;
    steer(&platform, "promote").await;
    assert_eq!(app.settled(&fourth.id).await.state, DeploymentState::Live);
    assert_eq!(percent_of(&count.more(50).await, "four"), 100);
    has(&app, &fourth.id, 1).await;
    let answers = count.end().await;
    assert!(failed(&answers).is_empty(), "{:?}", failed(&answers));
}

#[tokio::test]
async fn a_newer_deployment_and_a_rollback_abort_a_canary() {
    let platform = Platform::start().await;
    let app = live_app(&platform, 1).await;
    let first = app.live().await.unwrap();
    let count = Count::begin(platform.address(), "shop.localhost");
    let endless = "steps = [50]\nstep_seconds = 600\n";
    let second = app.begin(&canary("two", endless)).await;
    has_share(&app, &second.id, 50).await;
    let third = app.begin(&canary("three", endless)).await;
    let told = app.settled(&second.id).await.failure.unwrap().message;
    assert!(told.contains("superseded by") && told.contains(third.id.as_str()), "{told}");

    has_share(&app, &third.id, 50).await;
    let ran = platform.cli(&["rollback", "shop"]).await.ok();
    assert!(ran.stderr.contains(&format!("{first} is live")), "{}", ran.stderr);
    assert_eq!(percent_of(&count.more(100).await, "one"), 100);
    let told = app.settled(&third.id).await.failure.unwrap().message;
    assert_eq!(told, "rollout aborted: the app was rolled back");
    has(&app, &first, 1).await;
    let answers = count.end().await;
    assert!(failed(&answers).is_empty(), "{:?}", failed(&answers));

    // Stopped is stopped, whatever stands beside it.
    let fourth = app.begin(&canary("four", endless)).await;
    has_share(&app, &fourth.id, 50).await;
    platform.cli(&["scale", "shop", "0"]).await.ok();
    let told = app.settled(&fourth.id).await.failure.unwrap().message;
    assert_eq!(told, "rollout aborted: the app was stopped");
    has(&app, &first, 0).await;
    has(&app, &fourth.id, 0).await;
}

#[tokio::test]
async fn a_rolling_one_waits_between_its_instances_and_is_finished_by_hand() {
    let platform = Platform::start().await;
    let app = live_app(&platform, 2).await;
    let count = Count::begin(platform.address(), "shop.localhost");
    let second = app.begin(&server("two", 200, "pause_between_seconds = 600\n")).await;
    let waits = rollout(&app, &second.id, |rollout| rollout.ready == 1 && rollout.old_ready == 1).await;
    assert_eq!((waits.strategy.as_str(), waits.state), ("rolling", RolloutState::Going));
    let both = percent_of(&count.more(100).await, "two");
    assert!((1..100).contains(&both), "{both} %");
    steer(&platform, "promote").await;
    assert_eq!(app.settled(&second.id).await.state, DeploymentState::Live);
    has(&app, &second.id, 2).await;

    let third = app.begin(&server("three", 200, "pause_between_seconds = 600\n")).await;
    rollout(&app, &third.id, |rollout| rollout.ready == 1 && rollout.old_ready == 1).await;
    steer(&platform, "abort").await;
    has(&app, &second.id, 2).await;
    assert_eq!(percent_of(&count.more(50).await, "two"), 100);
    let answers = count.end().await;
    assert!(failed(&answers).is_empty(), "{:?}", failed(&answers));
}
