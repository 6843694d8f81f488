//! Rollouts of apps that run: canary, blue/green and rolling; shares that are counted, aborts by themselves and by hand, and what
//! becomes of one in whose middle the platform was killed.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "rollouts/at_once.rs"]
mod at_once;
#[path = "rollouts/count.rs"]
mod count;
#[path = "rollouts/judged.rs"]
mod judged;
#[path = "rollouts/owner.rs"]
mod owner;
#[path = "rollouts/switch.rs"]
mod switch;
#[path = "rollouts/trial.rs"]
mod trial;

use skylift_model::rollout::RolloutState;
use skylift_model::wire::{Instance, Rollout};
use skylift_model::{DeploymentId, InstanceId, InstanceState};
use skylift_tests::app::App;
use skylift_tests::folder::Folder;
use skylift_tests::platform::Platform;
use skylift_tests::wait;

use count::{Count, failed, percent_of};

/// A server in Node that says which version it is, with this status, and how it is to be rolled out.
fn server(version: &str, status: u16, rollout: &str) -> Folder {
    let program = "
        const http = require('http');
        const server = http.createServer((request, response) => {
            request.resume();
            request.on('end', () => { response.statusCode = STATUS; response.end('VERSION'); });
        });
        server.listen(process.env.PORT, process.env.HOST);
        process.on('SIGTERM', () => server.close(() => process.exit(0)));
    ";
    Folder::new()
        .file("package.json", r#"{"name":"server","scripts":{"start":"node server.js"}}"#)
        .file("server.js", program.replace("VERSION", version).replace("STATUS", &status.to_string()))
        .file("skylift.toml", format!("[rollout]\n{rollout}"))
}

fn canary(version: &str, more: &str) -> Folder {
    server(version, 200, &format!("strategy = \"canary\"\n{more}"))
}

/// An app whose first version is live with so many instances, whatever is asked of it.
async fn live_app<'p>(platform: &'p Platform, instances: usize) -> App<'p> {
    let app = platform.app("shop").await;
    let live = app.deploy(&server("one", 200, "")).await;
    platform.cli(&["scale", "shop", &instances.to_string(), "--in-flight", "1000"]).await.ok();
    has(&app, &live.id, instances).await;
    app
}

/// Waits until there are so many instances of a deployment that answer, and none of others.
async fn has(app: &App<'_>, deployment: &DeploymentId, count: usize) {
    wait::until(&format!("{count} instances of {deployment} and no others"), async || {
        let there = app.platform.client().instances(&app.name).await.unwrap().instances;
        let there: Vec<_> = there.into_iter().filter(|one| one.state != InstanceState::Ended).collect();
        let is_one = |one: &&Instance| one.deployment == *deployment && one.state == InstanceState::Ready;
        (there.len() == count && there.iter().filter(is_one).count() == count).then_some(())
    })
    .await;
}

/// The instances that answer.
async fn ready(app: &App<'_>) -> Vec<InstanceId> {
    let there = app.platform.client().instances(&app.name).await.unwrap().instances;
    there.into_iter().filter(|one| one.state == InstanceState::Ready).map(|one| one.id).collect()
}

/// Waits until the rollout of a deployment is as it is asked for.
async fn rollout(app: &App<'_>, deployment: &DeploymentId, is: impl Fn(&Rollout) -> bool) -> Rollout {
    let client = app.platform.client();
    let mut last = None;
    wait::until(&format!("the rollout of {deployment}"), async || {
        last = client.rollout(&app.name).await.ok();
        let over = last.as_ref().is_some_and(|last| last.deployment == *deployment && last.state.is_over());
        let found = last.clone().filter(|rollout| rollout.deployment == *deployment && is(rollout));
        assert!(found.is_some() || !over, "it is over: {last:?}");
        found
    })
    .await
}

async fn has_share(app: &App<'_>, deployment: &DeploymentId, percent: u32) -> Rollout {
    rollout(app, deployment, |rollout| rollout.share_percent == percent).await
}

async fn steer(platform: &Platform, act: &str) -> String {
    platform.cli(&["rollout", "shop", act]).await.ok().stdout
}

#[tokio::test]
async fn a_canary_gets_its_share_then_more_then_all_and_no_request_fails() {
    let platform = Platform::start().await;
    let app = live_app(&platform, 2).await;
    let count = Count::begin(platform.address(), "shop.localhost");
    let second = app.begin(&canary("two", "steps = [20, 60]\nstep_seconds = 6\n")).await;

    let first_step = has_share(&app, &second.id, 20).await;
    assert_eq!((first_step.step, first_step.ready, first_step.wanted), (1, 1, 2), "{first_step:?}");
    assert!(steer(&platform, "status").await.contains("canary: 20 % of the requests, step 1 of 2"));
    let answers = count.more(200).await;
    let seen = percent_of(&answers, "two");
    assert!((10..=30).contains(&seen), "{seen} % of {}", answers.len());

    assert_eq!(has_share(&app, &second.id, 60).await.ready, 2, "in proportion");
    let answers = count.more(200).await;
    let seen = percent_of(&answers, "two");
    assert!((50..=70).contains(&seen), "{seen} % of {}", answers.len());

    let settled = app.settled(&second.id).await;
    assert_eq!(settled.state.as_str(), "live", "{:?}", settled.failure);
    let after = count.more(100).await;
    assert_eq!(percent_of(&after, "two"), 100, "none is answered by what is older than what was confirmed");
    has(&app, &second.id, 2).await;
    let answers = count.end().await;
    assert!(failed(&answers).is_empty() && answers.len() > 500, "{:?} of {}", failed(&answers), answers.len());
    let ended = platform.client().rollout(&app.name).await.unwrap();
    assert_eq!((ended.state, ended.share_percent, ended.reason), (RolloutState::Live, 0, None));
}

#[tokio::test]
async fn a_canary_goes_on_with_its_step_after_the_platform_was_killed() {
    let mut platform = Platform::start().await;
    let first = live_app(&platform, 2).await.live().await.unwrap();
    let app = platform.existing("shop");
    let second = app.begin(&canary("two", "steps = [50, 75]\nstep_seconds = 600\n")).await;
    has_share(&app, &second.id, 50).await;
    let before = ready(&app).await;
    platform.kill().await;
    platform.up().await;

    let app = platform.existing("shop");
    wait::until("other instances", async || {
        let after = ready(&app).await;
        (after.len() == 3 && after.iter().all(|id| !before.contains(id))).then_some(())
    })
    .await;
    let again = rollout(&app, &second.id, |rollout| rollout.ready == 1 && rollout.old_ready == 2).await;
    assert_eq!((again.state, again.step, again.share_percent), (RolloutState::Going, 1, 50), "{again:?}");
    assert_eq!(app.live().await, Some(first));
    let count = Count::begin(platform.address(), "shop.localhost");
    let seen = percent_of(&count.more(100).await, "two");
    assert!((30..=70).contains(&seen), "{seen} %");

    steer(&platform, "promote").await;
    assert_eq!(app.settled(&second.id).await.state.as_str(), "live");
    has(&app, &second.id, 2).await;
    let answers = count.end().await;
    assert!(failed(&answers).is_empty(), "{:?}", failed(&answers));
    let live = app.deployments().await.into_iter().filter(|one| one.state.as_str() == "live");
    assert_eq!(live.map(|one| one.id).collect::<Vec<_>>(), [second.id], "exactly one");
}
