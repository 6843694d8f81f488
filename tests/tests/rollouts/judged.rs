//! Canaries that are worse than what they are to replace.

use std::time::Instant;

use skylift_model::DeploymentState;
use skylift_model::rollout::RolloutState;
use skylift_tests::platform::Platform;

use super::count::{Count, failed, percent_of};
use super::{has, live_app, rollout, server};

#[tokio::test]
async fn a_version_that_fails_is_taken_back_by_itself_with_little_damage() {
    let platform = Platform::start().await;
    let app = live_app(&platform, 2).await;
    let live = app.live().await.unwrap();
    let count = Count::begin(platform.address(), "shop.localhost");
    let broken = server("two", 500, "strategy = \"canary\"\nsteps = [20]\nstep_seconds = 600\n");
    let ran = app.cli_deploy(&broken, &[]).await;
    assert!(ran.exit != 0 && ran.stderr.contains("rollout aborted: 100.0 % of"), "{}", ran.stderr);
    assert!(ran.stderr.contains("answers failed, 0.0 % of the old version's"), "{}", ran.stderr);
    assert!(ran.stderr.contains("canary: 20 % of the requests"), "{}", ran.stderr);

    // Its instances are stopped only after every edge has said that it asks them nothing.
    has(&app, &live, 2).await;
    let aborted = Instant::now();
    assert_eq!(percent_of(&count.more(100).await, "one"), 100);
    let answers = count.end().await;
    let (failed, all) = (failed(&answers), answers.len());
    assert!(failed.iter().all(|answer| answer.status == 500 && answer.version == "two"), "{failed:?}");
    assert!(failed.iter().all(|answer| answer.asked < aborted), "none fails afterwards");
    assert!(failed.len() >= 20 && failed.len() * 4 < all, "{} of {all}", failed.len());
    let ended = platform.client().rollout(&app.name).await.unwrap();
    assert_eq!(ended.state, RolloutState::Aborted);
    assert_eq!(app.deployments().await[0].state, DeploymentState::Failed);
}

/// The negative control: without the judge it goes live.
#[tokio::test]
async fn the_same_version_goes_live_where_nobody_is_to_judge_it() {
    let platform = Platform::start().await;
    let app = live_app(&platform, 1).await;
    let count = Count::begin(platform.address(), "shop.localhost");
    let more = "strategy = \"canary\"\nsteps = [20]\nstep_seconds = 4\nauto_abort = false\n";
    let second = app.begin(&server("two", 500, more)).await;
    rollout(&app, &second.id, |rollout| rollout.share_percent == 20).await;
    assert_eq!(app.settled(&second.id).await.state, DeploymentState::Live);
    let after = count.more(20).await;
    assert_eq!(failed(&after).len(), after.len());
    count.end().await;
}
