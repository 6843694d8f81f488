//! What commands print, and how they end.

use serde_json::json;
use skylift_model::Digest;
use skylift_tests::cli::run;
use skylift_tests::{Platform, site};

#[tokio::test]
async fn a_deploy_prints_the_address_alone() {
    let platform = Platform::start().await;
    let folder = site("hello");
    let ran = platform.cli(&["deploy", folder.arg(), "--app", "hello"]).await.ok();
    assert_eq!(ran.stdout, format!("http://hello.localhost:{}\n", platform.port()));
    assert!(ran.stderr.contains("created the app hello"), "{}", ran.stderr);
    assert_eq!(platform.get("hello.localhost", "/").await.brief(), "200 hello");
}

#[tokio::test]
async fn exit_codes_say_what_went_wrong() {
    let platform = Platform::start().await;
    let app = platform.app("codes").await;
    platform.cli(&["no-such-command"]).await.ends_with(64);
    platform.cli(&["deployments", "UPPER"]).await.ends_with(64);
    platform.cli(&["rollback", "nothing"]).await.ends_with(3);
    platform.cli(&["deploy", "/no/such/folder"]).await.ends_with(3);
    platform.cli(&["rollback", "codes"]).await.ends_with(5);
    platform.cli(&["apps", "--token", "wrong"]).await.ends_with(4);
    platform.cli(&["apps", "--url", "http://127.0.0.1:1", "--token", "any"]).await.ends_with(6);
    let empty = skylift_tests::Folder::new().file("README.md", "no project");
    let failed = app.cli_deploy(&empty, &[]).await.ends_with(1);
    assert!(failed.stdout.is_empty() && failed.stderr.contains("hint:"), "{failed:?}");
    let listed = platform.cli(&["deployments", "codes"]).await.ok().stdout;
    assert!(listed.contains("  detect: "), "{listed}");
}

#[tokio::test]
async fn a_wrong_token_is_refused_with_what_to_do() {
    let platform = Platform::start().await;
    let ran = platform.cli(&["apps", "--token", "wrong", "--json"]).await.ends_with(4);
    assert_eq!(ran.json()["error"]["code"], json!("unauthorized"));
    assert!(ran.stderr.contains("owner-token"), "{}", ran.stderr);
}

#[tokio::test]
async fn every_listing_can_be_had_as_json() {
    let platform = Platform::start().await;
    let app = platform.app("listed").await;
    let deployment = app.deploy(&site("one")).await;
    let id = deployment.id.as_str();
    let json = async |arguments: &[&str]| platform.cli(&[arguments, &["--json"]].concat()).await.ok().json();

    let no_instances = platform.cli(&["ps", "listed"]).await.ok();
    assert_eq!(no_instances.stderr, "listed is a site and has no instances\n");
    let kept = platform.cli(&["db", "create", "main", "--app", "listed"]).await.ok();
    assert!(kept.stderr.contains("listed is a site and has no instances: the database waits"), "{}", kept.stderr);
    assert_eq!(json(&["apps"]).await["apps"][0]["live"], json!(id));
    assert_eq!(json(&["deployments", "listed"]).await["deployments"][0]["state"], json!("live"));
    assert!(json(&["logs", "listed"]).await["lines"].as_array().is_some_and(|lines| !lines.is_empty()));
    assert_eq!(json(&["env", "ls", "listed"]).await["variables"], json!([]));
    assert_eq!(json(&["files", id]).await["files"][0]["path"], json!("index.html"));
    assert_eq!(json(&["status"]).await["apps"], json!(1));
    assert!(json(&["jobs"]).await["jobs"].is_array());
    assert!(json(&["gc"]).await["blobs"].is_number());
    assert!(json(&["config", "show"]).await["build"]["memory_bytes"].is_number());
}

#[tokio::test]
async fn jobs_name_what_they_are_about_and_clean_up_tells_its_bytes() {
    let platform = Platform::configured("[keep]\nunnamed_seconds = 0\ndeployments = 1").await;
    let app = platform.app("counted").await;
    app.deploy(&site("an older page that goes")).await;
    app.deploy(&site("one more")).await;
    app.deploy(&site("a newer page")).await;
    // An upload that nobody goes on with: its file never comes.
    let missing = Digest::of(b"never sent");
    let begun = serde_json::json!({ "files": [{ "path": "index.html", "sha256": missing, "size": 10, "mode": 420 }] });
    assert_eq!(app.api("POST", "/uploads", Some(&begun)).await.status, 201);
    let cleaned = platform.cli(&["gc", "--json"]).await.ok().json();
    assert!(!platform.log().contains("damaged or missing"), "nothing is lost that was never there");
    assert!(cleaned["deployments"].as_u64() > Some(0) && cleaned["bytes"].as_u64() > Some(0), "{cleaned}");
    let jobs = platform.cli(&["jobs", "--json"]).await.ok().json();
    for job in jobs["jobs"].as_array().unwrap() {
        assert!(job["subject"].as_str().is_some_and(|subject| !subject.is_empty()), "{job}");
    }
}

#[tokio::test]
async fn variables_that_builds_need_from_the_platform_are_not_taken() {
    let platform = Platform::start().await;
    platform.app("env").await;
    for variable in ["PATH=/x", "HOME=/x", "LD_PRELOAD=/x.so", "https_proxy=x", "SKYLIFT_APP=x"] {
        let ran = platform.cli(&["env", "set", "env", "FINE=1", variable]).await.ends_with(5);
        let name = variable.split('=').next().unwrap();
        assert!(ran.stderr.contains(name) && ran.stderr.contains("hint:"), "{}", ran.stderr);
    }
    let ran = platform.cli(&["env", "set", "env", "NODE_ENV=development", "LANG=de", "--json"]).await.ok();
    assert_eq!(ran.json()["variables"].as_array().unwrap().len(), 2, "none of the refused, FINE included");
}

#[tokio::test]
async fn help_version_completions_and_the_manual_need_no_server() {
    for arguments in [&["--help"][..], &["--version"], &["completions", "bash"], &["man"], &["doctor"]] {
        let ran = run(arguments).await.ok();
        assert!(!ran.stdout.is_empty(), "{arguments:?}");
    }
}
