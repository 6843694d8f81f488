//! Projects with a Dockerfile, built and run by a real Docker engine, with the contract that every instance has.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "docker/builds.rs"]
mod builds;
#[path = "volumes/keeper.rs"]
mod keeper;
#[path = "docker/limits.rs"]
mod limits;
#[path = "docker/network.rs"]
mod network;
#[path = "docker/program.rs"]
mod program;
#[path = "docker/volumes.rs"]
mod volumes;

use skylift_model::wire::{Instance, InstanceList};
use skylift_model::{DeploymentState, InstanceState};
use skylift_peers::Docker;
use skylift_tests::app::App;
use skylift_tests::http::Request;
use skylift_tests::platform::Platform;
use skylift_tests::wait;

use keeper::says;
use program::{image, server};

/// An engine, and a platform that uses it.
struct Pair {
    platform: Platform,
    docker: Docker,
}

async fn pair(config: &str) -> Option<Pair> {
    let docker = Docker::start().await?;
    let platform = Platform::configured(&format!("{}{config}", docker.settings())).await;
    Some(Pair { platform, docker })
}

async fn instances(app: &App<'_>) -> Vec<Instance> {
    let InstanceList { instances, .. } = app.platform.client().instances(&app.name).await.unwrap();
    instances
}

async fn ended_because(app: &App<'_>, reason: &str) {
    wait::until(reason, async || {
        instances(app).await.iter().any(|instance| instance.reason.as_deref() == Some(reason)).then_some(())
    })
    .await;
}

async fn has_containers(docker: &Docker, count: usize) {
    wait::until(&format!("{count} containers"), async || (docker.containers().await.len() == count).then_some(()))
        .await;
}

#[tokio::test]
async fn an_image_answers_at_its_url_with_the_contract_of_every_instance() {
    let Some(Pair { platform, docker }) = pair("").await else { return };
    let app = platform.app("shop").await;
    app.set_env("SECRET", "hunter2000").await;
    let live = app.deploy(&server()).await;
    assert_eq!(says(&app, "/").await, "one");
    for (name, value) in [("PORT", "8080"), ("HOST", "0.0.0.0"), ("SECRET", "hunter2000"), ("HOME", "/home/app")] {
        assert_eq!(says(&app, &format!("/env?{name}")).await, value, "{name}");
    }
    app.logs_line(&live.id, "listening on 8080").await;
    let complaint = app.logs_line(&live.id, "a word of complaint").await;
    assert_eq!(complaint, "a word of complaint, and ••••••");
    let log = app.log(&live.id).await;
    assert!(log.contains("build Step 2/"), "{log}");
    let instance = instances(&app).await.remove(0);
    assert!(log.contains(&format!("{} listening on 8080", instance.id)), "{log}");

    platform.cli(&["rm", "shop", "-y"]).await.ok();
    has_containers(&docker, 0).await;
}

#[tokio::test]
async fn what_an_image_says_of_its_port_and_user_holds() {
    let Some(Pair { platform, docker: _docker }) = pair("").await else { return };
    let app = platform.app("shop").await;
    app.deploy(&image("EXPOSE 80\nUSER 0\nENV GREETING=image\nCMD [\"/server\"]")).await;
    assert_eq!(says(&app, "/env?PORT").await, "80");
    assert_eq!(says(&app, "/env?GREETING").await, "image");
    let status = says(&app, "/read?/proc/self/status").await;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!((field("Uid:").as_str(), field("CapEff:").as_str()), ("0", "0000000000000000"), "{status}");
    assert_eq!((field("NoNewPrivs:").as_str(), field("Seccomp:").as_str()), ("1", "2"), "{status}");

    app.deploy(&server()).await;
    let status = says(&app, "/read?/proc/self/status").await;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()).unwrap();
    assert!(uid.parse::<u32>().unwrap() >= 1_000_000, "{status}");
}

#[tokio::test]
async fn what_a_killed_platform_left_is_removed_when_it_starts_again_and_nothing_else() {
    let Some(Pair { mut platform, docker }) = pair("").await else { return };
    platform.app("shop").await.deploy(&server()).await;
    let before = docker.containers().await;
    let image = docker.images().await.remove(0);
    let strangers = docker.docker(&["create", "--network=none", &image]).await.unwrap();
    platform.kill().await;
    assert_eq!(docker.containers().await.len(), 2, "they outlive the platform");
    platform.up().await;
    let app = platform.existing("shop");
    wait::until("another instance", async || {
        let now = docker.containers().await;
        (now.len() == 2 && now.contains(&strangers) && !before.iter().any(|old| now.contains(old))).then_some(())
    })
    .await;
    wait::until("an answer", async || (app.get("/").await.status == 200).then_some(())).await;
    assert!(docker.docker(&["inspect", &strangers]).await.is_some(), "what is not ours stays");
}

#[tokio::test]
async fn without_an_engine_an_image_is_refused_with_what_to_do() {
    let platform = Platform::start().await;
    let failure = platform.app("shop").await.attempt(&server()).await.failure.unwrap();
    assert_eq!(failure.step, "detect");
    assert!(failure.hint.unwrap().contains("[docker] socket"), "the setting is named");
}
