//! Several things at once to an app that runs (threats.md 73): one after the other, the newest wins, nothing is left over.

use std::time::Duration;

use skylift_model::wire::{Deployment, Instance};
use skylift_model::{DeploymentState, InstanceState};
use skylift_tests::app::App;
use skylift_tests::census::Census;
use skylift_tests::platform::Platform;
use skylift_tests::random::{Random, rounds};
use skylift_tests::wait;
use tokio::task::JoinSet;

use super::count::{Count, failed, percent_of};
use super::{has, live_app, server};

#[tokio::test]
async fn of_ten_deploys_at_once_of_what_runs_the_newest_answers_and_no_request_fails() {
    let mut platform = Platform::configured("[build]\nconcurrency = 3").await;
    let app = live_app(&platform, 1).await;
    let count = Count::begin(platform.address(), "shop.localhost");
    let mut sending = JoinSet::new();
    for number in 0..10 {
        let folder = server(&format!("v{number}"), 200, "");
        let mut command = platform.begin_cli(&["deploy", folder.arg(), "--app", "shop", "--no-wait", "--json"]);
        sending.spawn(async move {
            assert!(command.wait().await.unwrap().success());
            drop(folder);
        });
    }
    sending.join_all().await;
    let accepted = app.deployments().await;
    assert_eq!(accepted.len(), 11);
    for deployment in &accepted {
        app.settled(&deployment.id).await;
    }
    let settled = app.deployments().await;
    assert_eq!(settled[0].state, DeploymentState::Live, "the newest");
    let ended = [DeploymentState::Previous, DeploymentState::Superseded];
    assert!(settled[1..].iter().all(|deployment| ended.contains(&deployment.state)), "{settled:?}");
    has(&app, &settled[0].id, 1).await;
    let newest = platform.get(&skylift_tests::app::host_of(&settled[0]), "/").await.text();
    assert_eq!(percent_of(&count.more(20).await, &newest), 100);
    let answers = count.end().await;
    assert!(failed(&answers).is_empty(), "{:?}", failed(&answers));
    platform.client().delete_app(&app.name).await.unwrap();
    nothing_is_left(&mut platform).await;
}

/// What is done to an app while a version of it is on its way.
#[derive(Clone, Copy, Debug)]
enum Act {
    Deploy,
    RollBack,
    Cancel,
    Delete,
}

const ACTS: [Act; 4] = [Act::RollBack, Act::Delete, Act::Deploy, Act::Cancel];
const ROLLOUTS: [&str; 3] =
    ["", "strategy = \"blue_green\"\n", "strategy = \"canary\"\nsteps = [50]\nstep_seconds = 1\n"];

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn whatever_comes_in_the_middle_of_a_rollout_one_version_is_live_and_nothing_is_left_over() {
    let mut random = Random::seeded();
    let mut platform = Platform::start().await;
    let all = rounds(2, 200);
    for round in 0..all {
        let act = ACTS[usize::try_from(round).unwrap() % ACTS.len()];
        let rollout = ROLLOUTS[usize::try_from(random.below(3)).unwrap()];
        let moment = Duration::from_millis(random.below(2500));
        eprintln!("{act:?} after {moment:?} of {rollout:?}");
        comes_in_the_middle(&platform, act, rollout, moment).await;
    }
    nothing_is_left(&mut platform).await;
    eprintln!(
        "figure: {all} times something else in the middle of a rollout, one version each time, nothing left over"
    );
}

async fn comes_in_the_middle(platform: &Platform, act: Act, rollout: &str, moment: Duration) {
    let app = live_app(platform, 1).await;
    let second = app.begin(&server("two", 200, rollout)).await;
    // The moment is the race that is tried; nothing waits for it.
    tokio::time::sleep(moment).await;
    let client = platform.client();
    match act {
        Act::Deploy => drop(app.begin(&server("three", 200, "")).await),
        Act::Cancel => drop(client.cancel(&second.id).await),
        // Where nothing was live before, and where nothing is under way any more, it is refused or goes further back.
        Act::RollBack => drop(client.roll_back(&app.name, None).await),
        Act::Delete => {}
    }
    if !matches!(act, Act::Delete) {
        is_one_version(&app, act).await;
    }
    client.delete_app(&app.name).await.unwrap();
    wait::until("its instances are gone", async || left(platform, &["instances/instances"]).is_empty().then_some(()))
        .await;
}

/// All is settled, one version is live, and what answers is that one's only instance.
async fn is_one_version(app: &App<'_>, act: Act) {
    for deployment in app.deployments().await {
        app.settled(&deployment.id).await;
    }
    let newest = app.deployments().await.remove(0);
    if matches!(act, Act::Deploy) {
        assert_eq!(newest.state, DeploymentState::Live, "the newest wins: {newest:?}");
    }
    let live = wait::until("one instance of what is live, and no other", async || {
        let live: Vec<Deployment> =
            app.deployments().await.into_iter().filter(|one| one.state == DeploymentState::Live).collect();
        let there = app.platform.client().instances(&app.name).await.unwrap().instances;
        let there: Vec<Instance> = there.into_iter().filter(|one| one.state != InstanceState::Ended).collect();
        match (&live[..], &there[..]) {
            ([live], [one]) if one.deployment == live.id && one.state == InstanceState::Ready => Some(live.clone()),
            ([_], _) => None,
            (several, _) => panic!("{act:?}: {several:?}"),
        }
    })
    .await;
    let own = app.platform.get(&skylift_tests::app::host_of(&live), "/").await.text();
    assert_eq!(app.get("/").await.brief(), format!("200 {own}"), "{act:?}");
}

fn left(platform: &Platform, folders: &[&str]) -> Vec<String> {
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(platform.data().join(folder)));
    entries.flatten().map(|entry| entry.unwrap().path().display().to_string()).collect()
}

/// Neither files nor processes (and so no network namespaces), mounts or control groups of apps that were deleted.
async fn nothing_is_left(platform: &mut Platform) {
    assert!(platform.stop().await.success(), "{}", platform.log());
    Census::becomes_empty(|| platform.census()).await;
    platform.up().await;
    let folders = ["instances/layers", "instances/instances", "builds/work", "blobs/partial"];
    wait::until("no files are left over", async || left(platform, &folders).is_empty().then_some(())).await;
}
