//! Worker processes: of what is live, never asked anything, as many as are wanted.

use skylift_model::wire::Instance;
use skylift_model::{DeploymentId, InstanceState};
use skylift_tests::{App, Folder, Platform, wait};

use super::{instances, server};

const WORKER: &str = "
    console.log('working on ' + process.env.SKYLIFT_DEPLOYMENT);
    setInterval(() => {}, 1000);
    process.on('SIGTERM', () => { console.log('worker told to end'); process.exit(0); });
";

fn with_worker(version: &str) -> Folder {
    server(version, "worker: node worker.js").file("worker.js", WORKER)
}

async fn workers(app: &App<'_>, state: InstanceState) -> Vec<Instance> {
    let is_worker = |one: &Instance| one.process == "worker" && one.state == state;
    instances(app).await.into_iter().filter(is_worker).collect()
}

async fn has(app: &App<'_>, deployment: &DeploymentId, count: usize) {
    wait::until(&format!("{count} workers of {deployment} and no others"), async || {
        let ready = workers(app, InstanceState::Ready).await;
        (ready.len() == count && ready.iter().all(|one| one.deployment == *deployment)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn they_are_those_of_what_is_live_and_as_many_as_are_wanted() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let first = app.deploy(&with_worker("one")).await;
    has(&app, &first.id, 1).await;
    app.logs_line(&first.id, "working on").await;
    let ps = platform.cli(&["ps", "shop"]).await.ok().stdout;
    assert!(ps.contains("web") && ps.contains("worker"), "{ps}");

    platform.cli(&["scale", "shop", "worker=2", "2"]).await.ok();
    has(&app, &first.id, 2).await;
    let unknown = platform.cli(&["scale", "shop", "wroker=2"]).await.ends_with(3);
    assert!(unknown.stderr.contains("web, worker"), "{}", unknown.stderr);

    let second = app.deploy(&with_worker("two")).await;
    has(&app, &second.id, 2).await;
    app.logs_line(&first.id, "worker told to end").await;
    app.roll_back().await;
    has(&app, &first.id, 2).await;
    // Whoever answers is `web`: no request has ever gone to a worker.
    for _ in 0..20 {
        assert_eq!(app.get("/").await.status, 200);
    }
    app.deploy(&skylift_tests::site("a page")).await;
    wait::until("no worker", async || workers(&app, InstanceState::Ready).await.is_empty().then_some(())).await;
    let refused = platform.cli(&["scale", "shop", "2"]).await.ends_with(5);
    assert!(refused.stderr.contains("is a site"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_deployment_that_fails_never_has_one_and_the_old_ones_go_on() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let live = app.deploy(&with_worker("one")).await;
    has(&app, &live.id, 1).await;
    let broken = with_worker("two").file("server.js", "process.exit(7)");
    let failed = app.attempt(&broken).await;
    assert!(failed.failure.is_some());
    has(&app, &live.id, 1).await;
    assert!(!instances(&app).await.iter().any(|one| one.process == "worker" && one.deployment == failed.id));
    assert_eq!(workers(&app, InstanceState::Ended).await, [], "nothing was restarted on the way");
}
