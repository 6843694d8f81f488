//! Release commands: once, before the first instance, and nothing goes live where one fails.

use skylift_model::DeploymentState;
use skylift_tests::{Folder, Platform, wait};

use super::{instances, server};

/// A server whose release command is this program.
fn released_by(version: &str, program: &str) -> Folder {
    server(version, "release: exec node release.js").file("release.js", program)
}

#[tokio::test]
async fn it_runs_once_before_the_first_instance_and_a_rollback_runs_none() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    app.set_env("GREETING", "good morning").await;
    let program =
        "console.log('releasing: ' + process.env.GREETING.length + ' ' + require('fs').existsSync('server.js'))";
    let first = app.deploy(&released_by("one", program)).await;
    app.logs_line(&first.id, "listening").await;
    let log = app.log(&first.id).await;
    let (released, listening) = (log.find("release releasing: 12 true"), log.find("listening"));
    assert!(released.is_some() && released < listening, "{log}");

    app.deploy(&released_by("two", program)).await;
    assert_eq!(app.get("/").await.text(), "two");
    app.roll_back().await;
    wait::until("the first again", async || (app.get("/").await.text() == "one").then_some(())).await;
    assert_eq!(app.log(&first.id).await.matches("releasing:").count(), 1);
}

#[tokio::test]
async fn where_it_fails_the_reason_is_told_and_what_was_live_goes_on() {
    let platform = Platform::configured("[instances]\nrelease_seconds = 10\n").await;
    let app = platform.app("shop").await;
    let live = app.deploy(&server("one", "")).await;
    let cases = [
        ("console.log('no database'); process.exit(4)", "exited with code 4"),
        ("process.kill(process.pid, 'SIGKILL')", "ended by signal 9"),
        ("setInterval(() => {}, 1000)", "killed: time limit 10 s"),
    ];
    for (program, reason) in cases {
        let failed = app.attempt(&released_by("two", program)).await;
        assert_eq!(failed.state, DeploymentState::Failed);
        let failure = failed.failure.unwrap();
        assert_eq!((failure.step.as_str(), failure.message.as_str()), ("release", reason));
        app.logs_line(&failed.id, reason).await;
        let instances = instances(&app).await;
        assert_eq!(
            instances.iter().filter(|one| one.deployment == failed.id).count(),
            1,
            "only its release command ran"
        );
        assert_eq!((app.get("/").await.text().as_str(), app.live().await), ("one", Some(live.id.clone())));
    }
}

#[tokio::test]
async fn one_that_was_cut_off_with_the_platform_is_run_again() {
    let mut platform = Platform::start().await;
    let app = platform.app("shop").await;
    let slow = "console.log('releasing'); setTimeout(() => console.log('released'), 8000)";
    let deployment = app.begin(&released_by("one", slow)).await;
    app.logs_line(&deployment.id, "releasing").await;
    platform.crash().await;
    let app = platform.existing("shop");
    assert_eq!(app.settled(&deployment.id).await.state, DeploymentState::Live);
    let log = app.log(&deployment.id).await;
    assert_eq!((log.matches("releasing").count(), log.matches("released").count()), (2, 1), "{log}");
    assert_eq!(app.get("/").await.text(), "one");
}

#[tokio::test]
async fn one_of_a_deployment_that_is_cancelled_ends() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let endless = "console.log('releasing'); setInterval(() => {}, 1000)";
    let deployment = app.begin(&released_by("one", endless)).await;
    app.logs_line(&deployment.id, "releasing").await;
    platform.cli(&["cancel", deployment.id.as_str()]).await.ok();
    wait::until("no sandbox", async || platform.census().groups.is_empty().then_some(())).await;
    assert_eq!(app.live().await, None);
}
