//! Builds that fail say where and why, and leave what is live.

use skylift_model::DeploymentState;
use skylift_model::wire::Failure;
use skylift_tests::{App, Folder, Platform, projects, site, skip};

async fn fails(app: &App<'_>, folder: &Folder) -> Failure {
    let failed = app.attempt(folder).await;
    assert_eq!(failed.state, DeploymentState::Failed);
    assert_eq!(app.get("/").await.brief(), "200 live", "what is live is untouched");
    failed.failure.unwrap()
}

#[tokio::test]
async fn a_failed_build_names_step_command_and_exit_code() {
    if !skip::unless_node("a_failed_build_names_step_command_and_exit_code") {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("fails").await;
    app.deploy(&site("live")).await;
    let failure = fails(&app, &projects::node("console.error('no luck'); process.exit(3);")).await;
    assert_eq!((failure.step.as_str(), failure.exit_code), ("build", Some(3)));
    assert_eq!(failure.message, "`node build.js` exited with code 3");

    let ran = app.cli_deploy(&projects::node("console.error('no luck'); process.exit(3);"), &[]).await.ends_with(1);
    assert!(ran.stdout.is_empty(), "nothing is live that was not before: {}", ran.stdout);
    assert!(ran.stderr.contains("no luck") && ran.stderr.contains("exited with code 3"), "{}", ran.stderr);

    let failure = fails(&app, &projects::node("process.kill(process.pid, 'SIGSEGV')")).await;
    assert!(failure.message.contains("signal 11") || failure.exit_code == Some(139), "{failure:?}");
    let failure = fails(&app, &projects::node_with_command("", "no-such-program")).await;
    assert_eq!(failure.exit_code, Some(127));
}

#[tokio::test]
async fn a_failed_install_or_test_is_named_as_such() {
    if !skip::unless_node("a_failed_install_or_test_is_named_as_such") {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("steps").await;
    app.deploy(&site("live")).await;
    let project = |toml: &str| projects::node(&projects::page("new")).file("skylift.toml", toml);
    let build = "command = \"node build.js\"\noutput = \"dist\"\n";
    let failure = fails(&app, &project(&format!("[build]\ninstall = \"exit 4\"\n{build}"))).await;
    assert_eq!((failure.step.as_str(), failure.exit_code), ("install", Some(4)));
    let failure = fails(&app, &project(&format!("[build]\ninstall = \"\"\ntest = \"exit 5\"\n{build}"))).await;
    assert_eq!((failure.step.as_str(), failure.exit_code), ("test", Some(5)));
    let good = project(&format!("[build]\ninstall = \"\"\ntest = \"test -f dist/index.html\"\n{build}"));
    app.deploy(&good).await;
    assert_eq!(app.get("/").await.brief(), "200 new");
}

#[tokio::test]
async fn an_image_is_recognised_and_told() {
    let platform = Platform::start().await;
    let app = platform.app("server").await;
    app.deploy(&site("live")).await;
    let failure = fails(&app, &Folder::new().file("Dockerfile", "FROM scratch\n")).await;
    assert!(failure.step == "detect" && failure.hint.is_some(), "{failure:?}");
    assert!(failure.message.contains("image"), "{failure:?}");
}
