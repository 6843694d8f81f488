//! What ends again and again is told with its reason, and where its last lines are.

use skylift_model::{DeploymentState, InstanceState};
use skylift_tests::{Platform, wait};

use super::{instances, server};

#[tokio::test]
async fn a_worker_that_keeps_ending_is_told_to_be_crash_looping_with_its_last_lines() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let broken = server("one", "worker: node worker.js").file(
        "worker.js",
        "for (let line = 1; line <= 150; line++) console.log('line ' + line); process.exitCode = 9;",
    );
    app.deploy(&broken).await;
    let ps = wait::until("crash-looping", async || {
        let ps = platform.cli(&["ps", "shop"]).await.ok().stdout;
        ps.contains("crash-looping").then_some(ps)
    })
    .await;
    let lines: Vec<&str> = ps.lines().collect();
    assert!(lines[1].contains("worker") && lines[1].contains("last: exited with code 9"), "{ps}");
    assert!(lines[2].contains("web") && lines[2].contains("ready"), "what runs comes before what ended: {ps}");
    assert!(lines.last().unwrap().contains("ended"), "{ps}");
    let status = platform.cli(&["status"]).await.ok().stdout;
    assert!(status.contains("worker of shop: crash-looping"), "{status}");

    let why = platform.cli(&["ps", "shop", "--why"]).await.ok().stdout;
    assert!(why.contains("line 150") && why.ends_with("exited with code 9\n"), "{why}");
    assert!(!why.contains("line 10\n"), "only the last lines: {why}");
    assert_eq!(app.get("/").await.text(), "one", "the others go on");
}

#[tokio::test]
async fn the_log_of_an_app_is_that_of_what_is_live() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let live = app.deploy(&server("one", "")).await;
    app.logs_line(&live.id, "listening").await;
    let failed = app.attempt(&server("two", "").file("server.js", "console.log('broken'); process.exit(7)")).await;
    assert_eq!(failed.state, DeploymentState::Failed);
    let log = platform.cli(&["logs", "shop"]).await.ok().stdout;
    assert!(log.contains("listening") && !log.contains("broken"), "{log}");
    let other = platform.cli(&["logs", "shop", "--deployment", failed.id.as_str(), "--timestamps"]).await.ok().stdout;
    let line = other.lines().find(|line| line.contains("broken")).unwrap_or_else(|| panic!("{other}"));
    assert!(line.starts_with("20") && line.contains('T'), "{line}");
    assert!(instances(&app).await.iter().any(|one| one.state == InstanceState::Ended && one.exit_code == Some(7)));
}
