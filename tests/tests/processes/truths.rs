//! Small truths that people stumble over.

use skylift_tests::{Platform, skip, wait};

use super::server;

#[tokio::test]
async fn port_and_host_are_not_to_be_set() {
    let platform = Platform::start().await;
    platform.cli(&["create", "shop"]).await.ok();
    for variable in ["PORT=3000", "HOST=127.0.0.1"] {
        let refused = platform.cli(&["env", "set", "shop", variable]).await.ends_with(5);
        assert!(refused.stderr.contains("$PORT"), "{}", refused.stderr);
    }
    platform.cli(&["env", "set", "shop", "DB_PORT=3000"]).await.ok();
}

#[tokio::test]
async fn a_variable_that_an_install_does_not_see_keeps_what_was_installed() {
    if !skip::unless_node("a_variable_that_an_install_does_not_see_keeps_what_was_installed") {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    // A dependency of another system only: something to install, and nothing to fetch.
    let package = r#"{"name":"server","optionalDependencies":{"only-elsewhere":"1.0.0"}}"#;
    let lock = r#"{"name":"server","lockfileVersion":3,"requires":true,"packages":{
        "":{"name":"server","optionalDependencies":{"only-elsewhere":"1.0.0"}},
        "node_modules/only-elsewhere":{"version":"1.0.0","optional":true,"os":["darwin"]}}}"#;
    let source = server("one", "").file("package.json", package).file("package-lock.json", lock);
    let first = app.deploy(&source).await;
    assert!(app.log(&first.id).await.contains("dependencies cached as layer"), "{}", app.log(&first.id).await);
    app.set_env("DATABASE_URL", "postgres://one").await;
    let second = app.log(&app.deploy(&source).await.id).await;
    assert!(second.contains("dependencies are unchanged") && second.contains("nowhere: DATABASE_URL"), "{second}");
    // The control: one that it sees.
    app.set_env("NPM_TOKEN", "secret-of-npm").await;
    let third = app.log(&app.deploy(&source).await.id).await;
    assert!(third.contains("dependencies cached as layer") && !third.contains("secret-of-npm"), "{third}");
}

#[tokio::test]
async fn the_files_of_a_program_go_with_its_last_deployment_and_those_that_run_stay() {
    if !skip::unless_own_stores("the_files_of_a_program_go_with_its_last_deployment_and_those_that_run_stay") {
        return;
    }
    let platform = Platform::start().await;
    let kept = platform.app("kept").await;
    kept.deploy(&server("one", "")).await;
    platform.app("gone").await.deploy(&server("two", "")).await;
    let layers = platform.data().join("instances/layers");
    let count = || std::fs::read_dir(&layers).unwrap().count();
    assert_eq!(count(), 2);
    platform.cli(&["rm", "gone", "-y"]).await.ok();
    wait::until("one layer", async || (count() == 1).then_some(())).await;
    assert_eq!(kept.get("/").await.text(), "one");
    platform.cli(&["restart", "kept"]).await.ok();
    assert_eq!(kept.get("/").await.text(), "one");
}
