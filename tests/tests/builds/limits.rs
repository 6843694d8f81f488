//! Builds that take too much are ended, with the cause (threat 20), and nothing of them lives on.

use std::time::{Duration, Instant};

use skylift_model::DeploymentState;
use skylift_model::wire::Failure;
use skylift_tests::{Platform, process, projects, site, skip, wait};

/// Runs a script, with a marker among its arguments, to its failure; makes sure that nothing is left of it and that
/// the platform goes on.
async fn ended(platform: &Platform, script: &str) -> Failure {
    let app = platform.app("greedy").await;
    app.deploy(&site("live")).await;
    let marker = format!("greedy-{}", platform.port());
    let began = Instant::now();
    let failed = app.attempt(&projects::node_with_command(script, &format!("node build.js {marker}"))).await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!(failed.state, DeploymentState::Failed);
    nothing_is_left(&marker).await;
    assert_eq!(app.get("/").await.brief(), "200 live");
    app.deploy(&site("goes on")).await;
    failed.failure.unwrap()
}

async fn nothing_is_left(marker: &str) {
    wait::until("nothing of the build is left", async || process::with_marker(marker).is_empty().then_some(())).await;
}

#[tokio::test]
async fn out_of_memory_is_named_with_what_was_used_and_allowed() {
    let name = "out_of_memory_is_named_with_what_was_used_and_allowed";
    if !skip::unless_root(name) || !skip::unless_node(name) {
        return;
    }
    let platform = Platform::configured("[build]\nmemory_bytes = 268435456").await;
    let greedy = "const all = []; for (;;) all.push(Buffer.alloc(16 << 20, 1));";
    let failure = ended(&platform, greedy).await;
    assert!(failure.message.starts_with("out of memory: 0.2 of 0.2 GiB in `node build.js"), "{failure:?}");
    assert!(failure.hint.is_some_and(|hint| hint.contains("memory_bytes")));
}

#[tokio::test]
async fn a_fork_bomb_meets_its_limit() {
    let name = "a_fork_bomb_meets_its_limit";
    if !skip::unless_root(name) || !skip::unless_node(name) {
        return;
    }
    let platform = Platform::configured("[build]\npids = 64\nstep_seconds = 20").await;
    let bomb = "const { spawn } = require('child_process');
        for (let i = 0; i < 50; i++) {
          try {
            spawn('sh', ['-c', 'while :; do sleep 1 & sleep 1 & wait; done', process.argv[2]], { detached: true })
              .on('error', () => process.exit(9));
          } catch { process.exit(9); }
        }
        setInterval(() => {}, 1000);";
    let failure = ended(&platform, bomb).await;
    let text = format!("{} {}", failure.message, failure.hint.clone().unwrap_or_default());
    assert!(text.contains("limit for processes") || text.contains("time limit"), "{failure:?}");
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_ended_even_if_it_will_not_listen() {
    if !skip::unless_node("a_step_that_takes_too_long_is_ended_even_if_it_will_not_listen") {
        return;
    }
    let platform = Platform::configured("[build]\nstep_seconds = 2").await;
    let stubborn = "for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(name, () => {});
        const { spawn } = require('child_process');
        spawn('sh', ['-c', 'trap \"\" TERM; while :; do sleep 1; done', process.argv[2]], { detached: true }).unref();
        setInterval(() => {}, 1000);";
    let failure = ended(&platform, stubborn).await;
    assert!(failure.message.starts_with("time limit:") && failure.message.contains("2 s"), "{failure:?}");
}

#[tokio::test]
async fn endless_output_is_stopped_at_its_limit() {
    if !skip::unless_node("endless_output_is_stopped_at_its_limit") {
        return;
    }
    let platform = Platform::configured("[build]\noutput_bytes = 1000000\nstep_seconds = 30").await;
    let loud = "const fs = require('fs'); const much = 'y\\n'.repeat(1 << 15); for (;;) fs.writeSync(1, much);";
    let failure = ended(&platform, loud).await;
    assert!(failure.message.starts_with("output limit:"), "{failure:?}");
}

#[tokio::test]
async fn a_build_that_fills_the_disk_is_stopped_at_its_limit() {
    if !skip::unless_node("a_build_that_fills_the_disk_is_stopped_at_its_limit") {
        return;
    }
    let platform = Platform::configured("[build]\ndisk_bytes = 50000000\nstep_seconds = 30").await;
    let fill = "const fs = require('fs'); const piece = Buffer.alloc(1 << 20, 1);
        for (let i = 0; ; i++) fs.writeFileSync('file-' + i, piece);";
    let failure = ended(&platform, fill).await;
    assert!(failure.message.contains("disk"), "{failure:?}");
}

#[tokio::test]
async fn a_build_that_makes_too_many_files_is_stopped_at_its_limit() {
    if !skip::unless_node("a_build_that_makes_too_many_files_is_stopped_at_its_limit") {
        return;
    }
    let platform = Platform::configured("[build]\ndisk_inodes = 2000\nstep_seconds = 30").await;
    let many = "const fs = require('fs'); for (let i = 0; ; i++) fs.writeFileSync('file-' + i, '');";
    let failure = ended(&platform, many).await;
    assert!(failure.message.contains("limit"), "{failure:?}");
}

#[tokio::test]
async fn what_a_good_build_leaves_running_is_ended_with_it() {
    if !skip::unless_node("what_a_good_build_leaves_running_is_ended_with_it") {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("daemon").await;
    let marker = format!("daemon-{}", platform.port());
    let daemon = format!(
        "const {{ spawn }} = require('child_process');
        spawn('setsid', ['sh', '-c', 'while :; do sleep 1; done', '{marker}'], {{ detached: true, stdio: 'ignore' }}).unref();
        {}",
        projects::page("done")
    );
    app.deploy(&projects::node(&daemon)).await;
    assert_eq!(app.get("/").await.brief(), "200 done");
    nothing_is_left(&marker).await;
}
