//! Going back, and staying what was live.

use skylift_model::DeploymentState;
use skylift_tests::app::host_of;
use skylift_tests::{Folder, Platform, site, skip};

#[tokio::test]
async fn rolling_back_goes_to_what_was_live_before_and_then_further_back() {
    let platform = Platform::start().await;
    let app = platform.app("back").await;
    let first = app.deploy(&site("one")).await;
    let second = app.deploy(&site("two")).await;
    app.deploy(&site("three")).await;

    assert_eq!(app.roll_back().await.id, second.id);
    assert_eq!(app.get("/").await.brief(), "200 two");
    assert_eq!(app.roll_back().await.id, first.id);
    assert_eq!(app.get("/").await.brief(), "200 one");
    app.api("POST", "/rollback", None).await.is_error(409, "conflict");
    assert_eq!(app.get("/").await.brief(), "200 one");
}

#[tokio::test]
async fn rolling_back_to_a_named_deployment_restores_it() {
    let platform = Platform::start().await;
    let app = platform.app("named").await;
    let first = app.deploy(&site("one")).await;
    app.deploy(&site("two")).await;
    let third = app.deploy(&site("three")).await;
    let ran = platform.cli(&["rollback", "named", first.id.as_str()]).await.ok();
    assert_eq!(ran.stdout, format!("http://named.localhost:{}\n", platform.port()));
    assert!(!ran.stderr.contains("variables"), "{}", ran.stderr);
    assert_eq!(app.get("/").await.brief(), "200 one");
    app.set_env("GREETING", "hello").await;
    let ran = platform.cli(&["rollback", "named", third.id.as_str()]).await.ok();
    assert!(ran.stderr.contains("what was set since is not in effect"), "{}", ran.stderr);
    assert_eq!(app.get("/").await.brief(), "200 three");
}

#[tokio::test]
async fn only_what_was_live_can_be_gone_back_to() {
    let platform = Platform::start().await;
    let app = platform.app("never").await;
    app.deploy(&site("good")).await;
    let failed = app.attempt(&Folder::new().file("README.md", "")).await;
    let body = serde_json::json!({ "deployment": failed.id });
    app.api("POST", "/rollback", Some(&body)).await.is_error(409, "conflict");
    let other = platform.app("other").await.deploy(&site("other")).await;
    let body = serde_json::json!({ "deployment": other.id });
    let answer = app.api("POST", "/rollback", Some(&body)).await;
    assert!(matches!(answer.status, 404 | 409), "another app's deployment: {}", answer.brief());
    assert_eq!(app.get("/").await.brief(), "200 good");
}

#[tokio::test]
async fn each_deployment_keeps_its_own_address() {
    let platform = Platform::start().await;
    let app = platform.app("kept").await;
    let first = app.deploy(&site("one")).await;
    let second = app.deploy(&site("two")).await;
    assert_eq!(platform.get(&host_of(&first), "/").await.brief(), "200 one");
    assert_eq!(platform.get(&host_of(&second), "/").await.brief(), "200 two");
    assert_eq!(app.get("/").await.brief(), "200 two");
    let states: Vec<_> = app.deployments().await.iter().map(|deployment| deployment.state).collect();
    assert_eq!(states, [DeploymentState::Live, DeploymentState::Previous]);
}

#[tokio::test]
async fn what_was_live_is_live_after_a_restart_and_after_a_crash() {
    let mut platform = Platform::start().await;
    let first = {
        let app = platform.app("stays").await;
        let first = app.deploy(&site("one")).await;
        app.deploy(&site("two")).await;
        first
    };
    platform.restart().await;
    assert_eq!(platform.existing("stays").get("/").await.brief(), "200 two");
    platform.existing("stays").roll_back().await;
    platform.crash().await;
    assert_eq!(platform.existing("stays").get("/").await.brief(), "200 one");
    assert_eq!(platform.get(&host_of(&first), "/").await.brief(), "200 one");
}

#[tokio::test]
async fn rolling_back_brings_the_environment_back() {
    if !skip::unless_node("rolling_back_brings_the_environment_back") {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("env").await;
    let script =
        "require('fs').mkdirSync('dist'); require('fs').writeFileSync('dist/index.html', process.env.GREETING)";
    let toml = "[build]\ninstall = \"\"\ncommand = \"node build.js\"\noutput = \"dist\"\n";
    let folder = Folder::new().file("package.json", "{}").file("build.js", script).file("skylift.toml", toml);

    app.set_env("GREETING", "hello").await;
    app.deploy(&folder).await;
    app.set_env("GREETING", "goodbye").await;
    app.deploy(&folder).await;
    assert_eq!(app.get("/").await.brief(), "200 goodbye");

    app.roll_back().await;
    assert_eq!(app.get("/").await.brief(), "200 hello");
    app.deploy(&folder).await;
    assert_eq!(app.get("/").await.brief(), "200 hello", "the variable has the value that it had");
    let listed = platform.cli(&["env", "ls", "env", "--json"]).await.ok();
    assert!(listed.stdout.contains("GREETING") && !listed.stdout.contains("hello"), "{}", listed.stdout);
}
