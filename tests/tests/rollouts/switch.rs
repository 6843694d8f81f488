//! Blue/green: looked at beside what is live, then all requests at once.

use skylift_model::DeploymentState;
use skylift_tests::platform::Platform;

use super::count::{Answer, Count, failed, percent_of};
use super::{has, live_app, rollout, server, steer};

/// Requests that were made after the new version had answered one, and were answered by the old one.
fn mixed(answers: &[Answer]) -> Vec<Answer> {
    let first = answers.iter().filter(|answer| answer.version == "two").map(|answer| answer.ended).min().unwrap();
    answers.iter().filter(|answer| answer.version == "one" && answer.asked > first).cloned().collect()
}

#[tokio::test]
async fn all_instances_are_looked_at_beside_the_old_ones_and_take_over_at_once() {
    let platform = Platform::start().await;
    let app = live_app(&platform, 2).await;
    let count = Count::begin(platform.address(), "shop.localhost");
    let second = app.begin(&server("two", 200, "strategy = \"blue_green\"\nauto_promote = false\n")).await;
    rollout(&app, &second.id, |rollout| rollout.ready == 2 && rollout.old_ready == 2).await;
    assert!(steer(&platform, "status").await.contains("`skylift rollout shop promote` has it take over"));
    let own = platform.get(&format!("{}.localhost", second.id), "/").await;
    assert_eq!((own.status, own.text().as_str()), (200, "two"), "{}", own.brief());
    assert_eq!(percent_of(&count.more(100).await, "one"), 100, "nobody else meets it");

    steer(&platform, "promote").await;
    assert_eq!(app.settled(&second.id).await.state, DeploymentState::Live);
    assert_eq!(percent_of(&count.more(100).await, "two"), 100);
    has(&app, &second.id, 2).await;
    let answers = count.end().await;
    assert!(failed(&answers).is_empty(), "{:?}", failed(&answers));
    assert!(mixed(&answers).is_empty(), "{:?}", mixed(&answers));
}

#[tokio::test]
async fn without_a_wish_to_look_it_switches_by_itself_and_the_first_version_of_all_just_starts() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let by_itself = "strategy = \"blue_green\"\n";
    app.deploy(&server("one", 200, by_itself)).await;
    let count = Count::begin(platform.address(), "shop.localhost");
    count.more(20).await;
    let second = app.deploy(&server("two", 200, by_itself)).await;
    has(&app, &second.id, 1).await;
    let answers = count.end().await;
    assert!(failed(&answers).is_empty(), "{:?}", failed(&answers));
    assert!(mixed(&answers).is_empty(), "{:?}", mixed(&answers));
}
