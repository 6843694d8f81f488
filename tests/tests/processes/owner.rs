//! What an owner does by hand: make an app, restart it, run a command in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use skylift_model::InstanceState;
use skylift_tests::{Platform, wait};
use tokio::io::AsyncReadExt;
use tokio::process::Child;

use super::{instances, server};

#[tokio::test]
async fn a_restart_replaces_every_instance_and_no_request_fails() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    app.deploy(&server("one", "worker: exec sleep 1000")).await;
    platform.cli(&["scale", "shop", "--min", "2", "--max", "2"]).await.ok();
    let ready = async || {
        let ready = instances(&app).await.into_iter().filter(|one| one.state == InstanceState::Ready);
        let ids: Vec<_> = ready.map(|one| one.id).collect();
        (ids.len() == 3).then_some(ids)
    };
    let before = wait::until("two of web and a worker", ready).await;
    let over = Arc::new(AtomicBool::new(false));
    let asking = async {
        let mut answers = 0;
        while !over.load(Ordering::Relaxed) {
            assert_eq!(app.get("/").await.text(), "one");
            answers += 1;
        }
        answers
    };
    let restarting = async {
        platform.cli(&["restart", "shop"]).await.ok();
        over.store(true, Ordering::Relaxed);
    };
    let (answers, ()) = tokio::join!(asking, restarting);
    assert!(answers > 0);
    let after = wait::until("others", ready).await;
    assert!(after.iter().all(|id| !before.contains(id)), "{before:?} {after:?}");
}

#[tokio::test]
async fn an_app_can_be_made_and_its_variables_set_before_its_first_deploy() {
    let platform = Platform::start().await;
    platform.cli(&["create", "shop"]).await.ok();
    platform.cli(&["env", "set", "shop", "GREETING=hello"]).await.ok();
    platform.cli(&["create", "shop"]).await.ends_with(5);
    let nothing = platform.cli(&["restart", "shop"]).await.ends_with(5);
    assert!(nothing.stderr.contains("nothing that runs is live"), "{}", nothing.stderr);
    let app = platform.existing("shop");
    app.deploy(&server("one", "")).await;
    let ran = platform.cli(&["run", "shop", "--", "sh", "-c", "echo ${#GREETING} $GREETING"]).await.ok();
    assert_eq!(ran.stdout, "5 ••••••\n", "it is there, and hidden in what is shown");
}

#[tokio::test]
async fn a_command_runs_with_the_files_of_what_is_live_and_its_exit_code_is_passed_on() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    app.deploy(&server("one", "")).await;
    let words = platform
        .cli(&["run", "shop", "--", "node", "-p", "process.argv[1] + require('fs').existsSync('server.js')", "a  b;c"])
        .await;
    assert_eq!(words.ok().stdout, "a  b;ctrue\n");
    let line = platform.cli(&["run", "shop", "echo to you >&2; echo to me | tr m M; exit 9"]).await.ends_with(9);
    assert_eq!((line.stdout.as_str(), line.stderr.trim_end()), ("to Me\n", "to you"));
    platform.cli(&["run", "shop", "kill -9 $$"]).await.ends_with(137);
    assert_eq!(app.get("/").await.text(), "one");
    // It is one of the app's, and over.
    let ps = platform.cli(&["ps", "shop"]).await.ok().stdout;
    assert!(ps.lines().any(|line| line.contains(" run ") && line.contains("exited with code 9")), "{ps}");
    assert!(!ps.contains("crash-looping"), "{ps}");
}

#[tokio::test]
async fn a_command_that_floods_ends_with_its_client_and_when_it_is_interrupted_though_nobody_reads() {
    let platform = Platform::configured("[instances]\nrun_alone_seconds = 0\n").await;
    let app = platform.app("shop").await;
    app.deploy(&server("one", "")).await;
    let running = async || {
        let is_on = |state| !matches!(state, InstanceState::Stopping | InstanceState::Ended);
        instances(&app).await.iter().filter(|one| one.process == "run" && is_on(one.state)).count()
    };
    let mut killed = platform.begin_cli(&["run", "shop", "--", "yes"]);
    read_something(&mut killed).await;
    assert_eq!(running().await, 1, "the control: as long as its client is there");
    killed.kill().await.unwrap();
    wait::until("no command without a client", async || (running().await == 0).then_some(())).await;

    // What it prints fills the pipe, from which nothing is read any more.
    let mut interrupted = platform.begin_cli(&["run", "shop", "--", "yes"]);
    read_something(&mut interrupted).await;
    let pid = rustix::process::Pid::from_raw(interrupted.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let exit = tokio::time::timeout(wait::PATIENCE, interrupted.wait()).await.expect("it ends").unwrap();
    assert_eq!(exit.code(), Some(130));
    wait::until("no command that was interrupted", async || (running().await == 0).then_some(())).await;

    let head =
        platform.cli(&["run", "shop", "yes | head -n 3000; head -c 3000000 /dev/zero; echo; echo last"]).await.ok();
    assert!(head.stdout.starts_with("y\ny\n") && head.stdout.ends_with("\nlast\n"), "{} bytes", head.stdout.len());
    assert_eq!(app.get("/").await.text(), "one", "the others go on");
}

async fn read_something(child: &mut Child) {
    let mut some = [0; 2];
    child.stdout.as_mut().unwrap().read_exact(&mut some).await.unwrap();
    assert_eq!(&some, b"y\n");
}

#[tokio::test]
async fn a_command_that_the_platform_cut_off_is_not_run_again() {
    let mut platform = Platform::start().await;
    let app = platform.app("shop").await;
    let live = app.deploy(&server("one", "")).await;
    let asked = serde_json::json!({ "command": ["echo be''gun; sleep 1000"] });
    let accepted = app.api("POST", "/run", Some(&asked)).await;
    assert_eq!(accepted.status, 202, "{}", accepted.brief());
    app.logs_line(&live.id, "begun").await;
    platform.crash().await;
    let app = platform.existing("shop");
    wait::until("its end", async || {
        let run = instances(&app).await.into_iter().find(|one| one.process == "run")?;
        run.reason.is_some_and(|reason| reason.contains("restarted")).then_some(())
    })
    .await;
    let log = app.log(&live.id).await;
    assert_eq!(log.matches("begun").count(), 1, "{log}");
}
