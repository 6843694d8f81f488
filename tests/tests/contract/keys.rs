//! Every mutation of the API takes an `Idempotency-Key`: a walk over the description, one row for each.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skylift_model::{DeploymentState, Digest};
use skylift_tests::{Folder, Platform, Request, Response, projects, site, skip, wait};

/// What a repetition without the key does: the control that shows that the key is what makes it the same request.
#[derive(Clone, Copy, Debug)]
enum Without {
    /// Refused, since it was done.
    Refused(u16),
    /// Done a second time, with another answer.
    DoneAgain,
    /// The same answer: the repetition changes nothing.
    Harmless,
}

struct Row {
    target: String,
    body: Option<Body>,
    without: Without,
}

#[derive(Clone)]
enum Body {
    Json(Value),
    Bytes(Vec<u8>),
}

impl Row {
    fn new(target: impl Into<String>, body: Option<Body>, without: Without) -> Self {
        Self { target: target.into(), body, without }
    }

    fn request(&self, method: &str) -> Request {
        let request = Request::new(method, &self.target);
        match self.body.clone() {
            None => request,
            Some(Body::Json(value)) => request.json(&value),
            Some(Body::Bytes(bytes)) => request.body(bytes),
        }
    }

    /// The same address and key, another body.
    fn other_request(&self, method: &str) -> Request {
        Request::new(method, &self.target).json(&json!({ "other": true }))
    }
}

fn is_replay(answer: &Response) -> bool {
    answer.header("idempotent-replayed") == "true"
}

/// A run that waits behind others, and one that was given up: what was to be run is lost.
async fn runs(platform: &Platform) -> (String, String) {
    let queue = async |request: Value| {
        let queued = platform.api(Request::post("/v1/runs").json(&request)).await;
        queued.json()["id"].as_str().unwrap_or_else(|| panic!("{}", queued.text())).to_owned()
    };
    let many = std::thread::available_parallelism().unwrap().get() * 2;
    let endless = json!({ "language": "bash", "source": "while :; do :; done", "mode": "async", "priority": 1,
        "limits": { "cpu_ms": 60_000, "wall_ms": 60_000 } });
    let mut in_the_way = Vec::new();
    for _ in 0..many {
        in_the_way.push(queue(endless.clone()).await);
    }
    let is_running = async |id: &String| {
        let run = platform.api(Request::get(&format!("/v1/runs/{id}"))).await.json();
        (run["state"] == "running").then_some(())
    };
    for id in &in_the_way {
        wait::until("those in the way", async || is_running(id).await).await;
    }
    let waits = queue(endless).await;
    let large = format!("# {}", "x".repeat(100 << 10));
    let blobs = platform.data().join("blobs/sha256");
    let files = || {
        let folders = std::fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path());
        let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
        files.collect::<std::collections::BTreeSet<_>>()
    };
    let before = files();
    let dead = queue(json!({ "language": "bash", "source": large, "mode": "async" })).await;
    for lost in files().difference(&before) {
        std::fs::remove_file(lost).unwrap();
    }
    for id in in_the_way {
        assert_eq!(platform.api(Request::post(&format!("/v1/runs/{id}/cancel"))).await.status, 200);
    }
    wait::until("it is given up", async || {
        let run = platform.api(Request::get("/v1/runs?state=dead")).await.json();
        (run["runs"][0]["id"] == dead.as_str()).then_some(())
    })
    .await;
    (waits, dead)
}

/// Something for every mutation to be done to.
async fn rows(platform: &mut Platform) -> BTreeMap<(&'static str, &'static str), Row> {
    let poison = platform.app("poison").await.begin(&projects::endless("walk-poison")).await.id;
    for attempt in 1..=3 {
        let client = platform.client();
        wait::until(&format!("attempt {attempt}"), async || {
            let lines = client.log_lines(&poison, None).await.unwrap();
            (lines.iter().filter(|line| line.text == "started").count() == attempt).then_some(())
        })
        .await;
        platform.crash().await;
    }
    platform.existing("poison").reaches(&poison, DeploymentState::Failed).await;
    let dead = platform.client().jobs(Some("dead")).await.unwrap()[0].id.clone();

    platform.app("gone").await;
    let walk = platform.app("walk").await;
    walk.set_env("THERE", "1").await;
    walk.deploy(&site("one")).await;
    walk.deploy(&site("two")).await;
    let running = platform.app("running").await;
    let endless = running.begin(&projects::endless("walk-endless")).await.id;
    running.reaches(&endless, DeploymentState::Building).await;
    let files = |text: &str| {
        let sha256 = Digest::of(text.as_bytes()).to_string();
        json!({ "files": [{ "path": "a", "sha256": sha256, "size": text.len(), "mode": "100644" }] })
    };
    let mut uploads = Vec::new();
    for text in ["alone", "bundled"] {
        let opened = walk.api("POST", "/uploads", Some(&files(text))).await;
        uploads.push(opened.json()["id"].as_str().unwrap().to_owned());
    }
    let program = "require('http').createServer((_, answer) => answer.end('up')).listen(process.env.PORT)";
    let started = Folder::new().file("package.json", r#"{"scripts":{"start":"node server.js"}}"#);
    platform.app("runs").await.deploy(&started.file("server.js", program)).await;
    let instance = platform.client().instances(&"runs".parse().unwrap()).await.unwrap().instances[0].id.clone();
    for name in ["rolls-abort", "rolls-pause", "rolls-promote", "rolls-resume"] {
        // It never listens, so its rollout goes on for as long as an instance may take to.
        let deaf = Folder::new().file("package.json", r#"{"scripts":{"start":"node server.js"}}"#);
        platform.app(name).await.begin(&deaf.file("server.js", "setInterval(() => {}, 1000)")).await;
        let (client, app) = (platform.client(), name.parse().unwrap());
        wait::until("a rollout", async || client.rollout(&app).await.ok()).await;
    }
    for (kind, name) in [("db", "old"), ("volume", "old-files")] {
        let path = format!("/{name}");
        platform.cli(&[kind, "create", name, "--app", "walk", "--path", &path]).await.ok();
    }
    let made = platform.api(Request::post("/v1/keys").json(&json!({ "name": "gone", "scopes": ["runs"] }))).await;
    let key = made.json()["id"].as_str().unwrap().to_owned();
    let made = platform.api(Request::post("/v1/keys").json(&json!({ "name": "set", "scopes": ["runs"] }))).await;
    let other_key = made.json()["id"].as_str().unwrap().to_owned();
    let (waiting_run, dead_run) = runs(platform).await;
    let git = json!({ "git": { "url": "https://example.invalid/site.git" } });
    let json = |value: &Value| Some(Body::Json(value.clone()));
    let bundle = [&7_u32.to_be_bytes()[..], b"bundled"].concat();
    BTreeMap::from([
        (("POST", "/v1/apps"), Row::new("/v1/apps", json(&json!({ "name": "made" })), Without::Refused(409))),
        (("DELETE", "/v1/apps/{app}"), Row::new("/v1/apps/gone", None, Without::Refused(404))),
        (
            ("POST", "/v1/apps/{app}/uploads"),
            Row::new("/v1/apps/walk/uploads", json(&files("new")), Without::DoneAgain),
        ),
        (
            ("PUT", "/v1/uploads/{upload}/blobs/{sha256}"),
            Row::new(
                format!("/v1/uploads/{}/blobs/{}", uploads[0], Digest::of(b"alone")),
                Some(Body::Bytes(b"alone".to_vec())),
                Without::Harmless,
            ),
        ),
        (
            ("POST", "/v1/uploads/{upload}/blobs"),
            Row::new(format!("/v1/uploads/{}/blobs", uploads[1]), Some(Body::Bytes(bundle)), Without::Harmless),
        ),
        (
            ("POST", "/v1/apps/{app}/deployments"),
            Row::new("/v1/apps/poison/deployments", json(&git), Without::DoneAgain),
        ),
        (("POST", "/v1/apps/{app}/rollback"), Row::new("/v1/apps/walk/rollback", None, Without::Refused(409))),
        (
            ("PATCH", "/v1/apps/{app}/env"),
            Row::new("/v1/apps/walk/env", json(&json!({ "unset": ["THERE"] })), Without::Refused(404)),
        ),
        (
            ("PUT", "/v1/apps/{app}/instances"),
            Row::new("/v1/apps/runs/instances", json(&json!({ "wanted": 1 })), Without::Harmless),
        ),
        (
            ("POST", "/v1/apps/{app}/databases"),
            Row::new("/v1/apps/walk/databases", json(&json!({ "name": "main" })), Without::Refused(409)),
        ),
        (
            ("DELETE", "/v1/apps/{app}/databases/{database}"),
            Row::new("/v1/apps/walk/databases/old", None, Without::Refused(404)),
        ),
        (
            ("POST", "/v1/apps/{app}/volumes"),
            Row::new(
                "/v1/apps/walk/volumes",
                json(&json!({ "name": "files", "path": "/files" })),
                Without::Refused(409),
            ),
        ),
        (
            ("DELETE", "/v1/apps/{app}/volumes/{volume}"),
            Row::new("/v1/apps/walk/volumes/old-files", None, Without::Refused(404)),
        ),
        (
            ("PUT", "/v1/apps/{app}/net"),
            Row::new("/v1/apps/runs/net", json(&json!({ "out": [{ "to": "example.org" }] })), Without::Harmless),
        ),
        (
            ("PUT", "/v1/apps/{app}/scaling"),
            Row::new("/v1/apps/runs/scaling", json(&json!({ "min": 1, "max": 3 })), Without::Harmless),
        ),
        (("DELETE", "/v1/apps/{app}/scaling"), Row::new("/v1/apps/runs/scaling", None, Without::Harmless)),
        (
            ("PUT", "/v1/apps/{app}/instance-type"),
            Row::new("/v1/apps/runs/instance-type", json(&json!({ "type": null })), Without::Harmless),
        ),
        (
            ("POST", "/v1/deployments/{deployment}/cancel"),
            Row::new(format!("/v1/deployments/{endless}/cancel"), None, Without::Refused(409)),
        ),
        (("POST", "/v1/jobs/{job}/replay"), Row::new(format!("/v1/jobs/{dead}/replay"), None, Without::Refused(404))),
        (("POST", "/v1/apps/{app}/purge"), Row::new("/v1/apps/walk/purge", None, Without::Harmless)),
        (
            ("POST", "/v1/apps/{app}/rollout/abort"),
            Row::new("/v1/apps/rolls-abort/rollout/abort", None, Without::Refused(409)),
        ),
        (
            ("POST", "/v1/apps/{app}/rollout/pause"),
            Row::new("/v1/apps/rolls-pause/rollout/pause", None, Without::Harmless),
        ),
        (
            ("POST", "/v1/apps/{app}/rollout/promote"),
            Row::new("/v1/apps/rolls-promote/rollout/promote", None, Without::Harmless),
        ),
        (
            ("POST", "/v1/apps/{app}/rollout/resume"),
            Row::new("/v1/apps/rolls-resume/rollout/resume", None, Without::Harmless),
        ),
        (("POST", "/v1/apps/{app}/restart"), Row::new("/v1/apps/runs/restart", None, Without::DoneAgain)),
        (
            ("POST", "/v1/apps/{app}/run"),
            Row::new("/v1/apps/runs/run", json(&json!({ "command": ["true"] })), Without::DoneAgain),
        ),
        (("DELETE", "/v1/keys/{key}"), Row::new(format!("/v1/keys/{key}"), None, Without::Refused(404))),
        (
            ("PATCH", "/v1/keys/{key}"),
            Row::new(format!("/v1/keys/{other_key}"), json(&json!({ "at_once": 2 })), Without::Harmless),
        ),
        (
            ("POST", "/v1/keys"),
            Row::new("/v1/keys", json(&json!({ "name": "walk", "scopes": ["runs"] })), Without::DoneAgain),
        ),
        (
            ("POST", "/v1/runs"),
            Row::new("/v1/runs", json(&json!({ "language": "bash", "source": "true" })), Without::DoneAgain),
        ),
        (
            ("POST", "/v1/runs/batch"),
            Row::new(
                "/v1/runs/batch",
                json(&json!({ "runs": [{ "language": "bash", "source": "true" }] })),
                Without::DoneAgain,
            ),
        ),
        (
            ("POST", "/v1/runs/{run}/cancel"),
            Row::new(format!("/v1/runs/{waiting_run}/cancel"), None, Without::Harmless),
        ),
        (
            ("POST", "/v1/runs/{run}/redrive"),
            Row::new(format!("/v1/runs/{dead_run}/redrive"), None, Without::Refused(409)),
        ),
        (
            ("POST", "/run"),
            Row::new("/run", json(&json!({ "language": "bash", "source": "true" })), Without::DoneAgain),
        ),
        (
            ("DELETE", "/v1/instances/{instance}"),
            Row::new(format!("/v1/instances/{instance}"), None, Without::Harmless),
        ),
        (("POST", "/v1/gc"), Row::new("/v1/gc", None, Without::Harmless)),
    ])
}

#[tokio::test]
async fn every_mutation_has_one_effect_for_a_key_and_the_same_answer() {
    if !skip::unless_node("every_mutation_has_one_effect_for_a_key_and_the_same_answer") {
        return;
    }
    let mut platform = Platform::start().await;
    let rows = rows(&mut platform).await;
    let description = platform.send(Request::get("/v1/openapi.json").host("localhost")).await.json();
    let mut walked = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            if method == "GET" {
                continue;
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let names_key = |parameter: &Value| parameter["name"] == "Idempotency-Key" && parameter["in"] == "header";
            assert!(parameters.iter().any(names_key), "{method} {path} does not say that it takes a key");
            let row = rows.get(&(method.as_str(), path.as_str()));
            walk(&platform, &method, row.unwrap_or_else(|| panic!("no row for {method} {path}"))).await;
            walked += 1;
        }
    }
    assert_eq!(walked, rows.len());
}

/// An answer without what is told once: an API key itself.
fn kept(answer: &Response) -> Vec<u8> {
    let text = answer.text();
    match text.split_once("\"key\":\"skylift_key_") {
        Some((before, rest)) => [before, rest.split_once("\",").unwrap().1].concat().into_bytes(),
        None => answer.body.clone(),
    }
}

async fn walk(platform: &Platform, method: &str, row: &Row) {
    let what = format!("{method} {}", row.target);
    let key = format!("key of {what}");
    let first = platform.api(row.request(method).header("idempotency-key", &key)).await;
    assert!((200..300).contains(&first.status) && !is_replay(&first), "{what}: {}", first.brief());
    let again = platform.api(row.request(method).header("idempotency-key", &key)).await;
    assert_eq!((again.status, kept(&again)), (first.status, kept(&first)), "{what}");
    assert_eq!(again.header("content-type"), first.header("content-type"), "{what}");
    assert!(is_replay(&again), "{what}: {:?}", again.headers);

    let other = platform.api(row.other_request(method).header("idempotency-key", &key)).await;
    other.is_error(409, "idempotency_mismatch");

    let without = platform.api(row.request(method)).await;
    match row.without {
        Without::Refused(status) => assert_eq!(without.status, status, "{what}: {}", without.brief()),
        Without::DoneAgain => assert_ne!(without.body, first.body, "{what}"),
        Without::Harmless => assert_eq!(without.status, first.status, "{what}: {}", without.brief()),
    }
}

#[tokio::test]
async fn a_body_that_no_endpoint_asked_for_counts_with_its_key_and_breaks_nothing_off() {
    let platform = Platform::start().await;
    platform.app("gone").await;
    let remove = |body: Value| Request::new("DELETE", "/v1/apps/gone").header("idempotency-key", "once").json(&body);
    let first = platform.api(remove(json!({}))).await;
    assert_eq!(first.status, 204, "{}", first.brief());
    let again = platform.api(remove(json!({}))).await;
    assert!(again.status == 204 && is_replay(&again), "{}", again.brief());
    platform.api(remove(json!({ "other": 1 }))).await.is_error(409, "idempotency_mismatch");
}

#[tokio::test]
async fn a_list_is_not_taken_for_an_object() {
    let platform = Platform::start().await;
    platform.app("shop").await;
    for (method, target, body) in [
        ("PUT", "/v1/apps/shop/scaling", json!([])),
        ("PUT", "/v1/apps/shop/net", json!([])),
        ("PUT", "/v1/apps/shop/instance-type", json!([])),
        ("PUT", "/v1/apps/shop/instances", json!([2])),
        ("POST", "/v1/apps", json!(["taken"])),
    ] {
        platform.api(Request::new(method, target).json(&body)).await.is_error(400, "bad_request");
    }
}
