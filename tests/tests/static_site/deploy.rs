//! Deploying folders.

use std::process::Command;

use skylift_client::client::Side;
use skylift_model::DeploymentState;
use skylift_tests::{Folder, Platform, Request, site};

#[tokio::test]
async fn a_folder_becomes_a_site() {
    let platform = Platform::start().await;
    let app = platform.app("hello").await;
    let folder = site("<h1>hello</h1>").file("css/style.css", "h1 {}").file("about/index.html", "about");
    app.deploy(&folder).await;
    let page = app.get("/").await;
    assert_eq!(page.brief(), "200 <h1>hello</h1>");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(app.get("/css/style.css").await.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(app.get("/about/").await.brief(), "200 about");
}

#[tokio::test]
async fn a_redeploy_sends_only_what_changed() {
    let platform = Platform::start().await;
    let app = platform.app("delta").await;
    let folder = site("start");
    for number in 0..500 {
        folder.write(&format!("pages/{number}.html"), format!("page {number}"));
    }
    let first = app.cli_deploy(&folder, &[]).await.ok();
    assert!(first.stderr.contains("sending 501 files"), "{}", first.stderr);

    folder.write("pages/250.html", "another page");
    let second = app.cli_deploy(&folder, &[]).await.ok();
    assert!(second.stderr.contains("sending 1 file, "), "{}", second.stderr);
    assert_eq!(app.get("/pages/250.html").await.brief(), "200 another page");
    assert_eq!(app.get("/pages/251.html").await.brief(), "200 page 251");

    let third = app.cli_deploy(&folder, &[]).await.ok();
    assert!(third.stderr.contains("nothing to send"), "{}", third.stderr);
}

#[tokio::test]
async fn what_is_missing_is_told_by_this_app_alone() {
    let platform = Platform::start().await;
    let folder = site("the same secret page in both");
    platform.app("first").await.deploy(&folder).await;
    let other = platform.app("second").await.cli_deploy(&folder, &[]).await.ok();
    assert!(other.stderr.contains("sending 1 file, "), "{}", other.stderr);
}

#[tokio::test]
async fn ignored_files_and_secrets_are_never_sent() {
    let platform = Platform::start().await;
    let app = platform.app("ignore").await;
    let folder = site("x").file(".gitignore", "*.log\n").file("debug.log", "x").file(".env", "SECRET=1");
    let folder = folder.file(".env.local", "SECRET=1").file("node_modules/a/index.js", "x").file(".git/config", "x");
    let folder = folder.file(".skyliftignore", "drafts/\n").file("drafts/a.html", "x");
    let ran = app.cli_deploy(&folder, &["--json"]).await.ok();
    assert!(ran.stderr.contains("skipped"), "{}", ran.stderr);
    let id = serde_json::from_value(ran.json()["id"].clone()).unwrap();
    let sent = platform.client().files(&id, Side::Source).await.unwrap();
    let sent: Vec<_> = sent.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(sent, [".gitignore", ".skyliftignore", "index.html"]);
}

#[tokio::test]
async fn an_unfinished_upload_is_no_deployment() {
    let platform = Platform::start().await;
    let app = platform.app("half").await;
    let file = |text: &str| {
        let sha256 = skylift_model::Digest::of(text.as_bytes()).to_string();
        serde_json::json!({ "path": "index.html", "sha256": sha256, "size": text.len(), "mode": "100644" })
    };
    let upload = app.api("POST", "/uploads", Some(&serde_json::json!({ "files": [file("x")] }))).await;
    assert_eq!(upload.status, 201, "{}", upload.brief());
    let body = serde_json::json!({ "upload": upload.json()["id"] });
    app.api("POST", "/deployments", Some(&body)).await.is_error(409, "conflict");
    assert!(app.deployments().await.is_empty());

    let missing = upload.json()["missing"][0].as_str().unwrap().to_owned();
    let target = format!("/v1/uploads/{}/blobs/{missing}", upload.json()["id"].as_str().unwrap());
    platform.api(Request::new("PUT", &target).body("not it")).await.is_error(422, "invalid");
    assert_eq!(platform.api(Request::new("PUT", &target).body("x")).await.status, 204);
    assert_eq!(app.api("POST", "/deployments", Some(&body)).await.status, 202);
}

#[tokio::test]
async fn what_was_deployed_can_be_read_with_git_and_as_files() {
    let platform = Platform::start().await;
    let app = platform.app("history").await;
    app.deploy(&site("one")).await;
    let second = app.deploy(&site("two")).await;
    let repository = platform.data().join("git/history.git");
    let git = async |arguments: &[&str]| {
        let ran = Command::new("git").arg("-C").arg(&repository).args(arguments).output().unwrap();
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    // The commit is made after the deployment is live: nobody waits for it.
    skylift_tests::wait::until("two commits", async || {
        (git(&["log", "--format=%h"]).await.lines().count() == 2).then_some(())
    })
    .await;
    let difference = git(&["diff", "HEAD~1", "HEAD"]).await;
    assert!(difference.contains("-one") && difference.contains("+two"), "{difference}");
    let printed = platform.cli(&["files", second.id.as_str(), "index.html"]).await.ok();
    assert_eq!(printed.stdout, "two");
}

#[tokio::test]
async fn a_folder_without_a_project_fails_and_leaves_what_is_live() {
    let platform = Platform::start().await;
    let app = platform.app("nothing").await;
    app.deploy(&site("good")).await;
    let failed = app.attempt(&Folder::new().file("README.md", "nothing to serve")).await;
    assert_eq!(failed.state, DeploymentState::Failed);
    let failure = failed.failure.unwrap();
    assert!(failure.step == "detect" && failure.hint.is_some(), "{failure:?}");
    assert_eq!(app.get("/").await.brief(), "200 good");
    assert_eq!(app.deployments().await[1].state, DeploymentState::Live);
}

#[tokio::test]
async fn an_unknown_key_in_skylift_toml_is_named_with_its_line() {
    let platform = Platform::start().await;
    let app = platform.app("typo").await;
    let failed = app.attempt(&site("x").file("skylift.toml", "spa = true\n\n[build]\ncomand = \"x\"\n")).await;
    let message = failed.failure.unwrap().message;
    assert!(message.contains("comand") && message.contains("line 4"), "{message}");
}
