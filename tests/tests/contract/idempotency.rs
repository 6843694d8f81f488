//! `Idempotency-Key`: many at once, crashes, and keys that are none.

use std::fs;

use serde_json::{Value, json};
use skylift_tests::{Platform, Request, archive};
use tokio::task::JoinSet;

#[tokio::test]
async fn fifty_requests_with_one_key_make_one_deployment() {
    let platform = Platform::start().await;
    let app = platform.app("once").await;
    let body = archive::Tar::new().file("index.html", "once").gzip();
    let request = |body: &[u8]| {
        let request = Request::post("/v1/apps/once/deployments").host("localhost").token(&platform.token());
        request.header("idempotency-key", "the-one").body(body)
    };
    let mut sending = JoinSet::new();
    for _ in 0..50 {
        sending.spawn(request(&body).send(platform.address()));
    }
    let answers = sending.join_all().await;
    let ids: Vec<Value> = answers.iter().map(|answer| answer.json()["id"].clone()).collect();
    assert!(answers.iter().all(|answer| answer.status == 202), "{:?}", answers.iter().map(|a| a.status));
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(app.deployments().await.len(), 1);

    let other = archive::Tar::new().file("index.html", "another").gzip();
    platform.send(request(&other)).await.is_error(409, "idempotency_mismatch");
    assert_eq!(app.deployments().await.len(), 1);
    let unkeyed = app.post_archive(body).await;
    assert_eq!(unkeyed.status, 202, "control: without the key it is another deployment");
    assert_eq!(app.deployments().await.len(), 2);
}

#[tokio::test]
async fn what_comes_behind_an_archive_is_part_of_the_request() {
    let platform = Platform::start().await;
    let app = platform.app("tail").await;
    let tar = archive::Tar::new().file("index.html", "x").bytes();
    let padded = [&tar[..], &vec![0; 300 << 10]].concat();
    let send = async |body: &[u8]| {
        let request = Request::post("/v1/apps/tail/deployments").header("idempotency-key", "k").body(body);
        platform.api(request).await
    };
    let first = send(&padded).await;
    assert_eq!(first.status, 202, "{}", first.brief());
    assert_eq!(send(&padded).await.body, first.body);
    send(&tar).await.is_error(409, "idempotency_mismatch");
    assert_eq!(app.deployments().await.len(), 1);
}

#[tokio::test]
async fn a_key_survives_a_crash() {
    let mut platform = Platform::start().await;
    for app in ["again", "goes"] {
        platform.app(app).await;
    }
    let git = json!({ "git": { "url": "https://example.invalid/site.git" } });
    let requests = [
        Request::post("/v1/apps/again/deployments").json(&git),
        Request::post("/v1/apps").json(&json!({ "name": "third" })),
        Request::new("PATCH", "/v1/apps/again/env").json(&json!({ "set": { "A": "b" } })),
        Request::new("DELETE", "/v1/apps/goes"),
    ];
    let keyed = |number: usize| requests[number].clone().header("idempotency-key", &format!("key {number}"));
    let mut answers = Vec::new();
    for number in 0..requests.len() {
        answers.push(platform.api(keyed(number)).await);
    }
    platform.crash().await;
    for (number, first) in answers.iter().enumerate() {
        let second = platform.api(keyed(number)).await;
        assert!(first.status < 300, "{}", first.brief());
        assert_eq!((first.status, &first.body), (second.status, &second.body));
    }
    assert_eq!(platform.existing("again").deployments().await.len(), 1);
    assert_eq!(platform.existing("again").api("GET", "/env", None).await.json()["version"], json!(1));
}

#[tokio::test]
async fn a_refusal_is_repeated_until_the_key_changes_but_a_fault_of_ours_is_not() {
    let mut platform = Platform::configured("[keep]\nreserve_bytes = 1000000000000000000").await;
    platform.app("full").await;
    let request =
        |key: &str, target: &str, body: &Value| Request::post(target).header("idempotency-key", key).json(body);
    let upload = || request("upload", "/v1/apps/full/uploads", &json!({ "files": [] }));
    let rollback = || request("rollback", "/v1/apps/full/rollback", &json!({}));
    platform.api(upload()).await.is_error(507, "out_of_space");
    platform.api(rollback()).await.is_error(409, "conflict");

    fs::write(platform.data().parent().unwrap().join("config.toml"), "").unwrap();
    platform.restart().await;
    let later = platform.api(upload()).await;
    assert_eq!((later.status, later.header("idempotent-replayed")), (201, ""), "{}", later.brief());
    let refused = platform.api(rollback()).await;
    refused.is_error(409, "conflict");
    assert_eq!(refused.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_with_what_is_one() {
    let platform = Platform::start().await;
    let request = || Request::post("/v1/apps").json(&json!({ "name": "never" }));
    let refused = async |request: Request| {
        platform.api(request).await.is_error(400, "bad_request");
    };
    refused(request().header("idempotency-key", "a").header("idempotency-key", "a")).await;
    refused(request().header("idempotency-key", "a").header("Idempotency-Key", "b")).await;
    refused(request().header("idempotency-key", "")).await;
    refused(request().header("idempotency-key", "   ")).await;
    refused(request().header("idempotency-key", &"a".repeat(256))).await;
    refused(request().header("idempotency-key", "a\tb")).await;
    refused(request().header("idempotency-key", "ü")).await;
    assert!(platform.client().apps().await.unwrap().is_empty());
    let long = request().header("idempotency-key", &"a".repeat(255));
    assert_eq!(platform.api(long).await.status, 201, "control");
    let reading = Request::get("/v1/apps").header("idempotency-key", "");
    assert_eq!(platform.api(reading).await.status, 200, "reading needs no key, and looks at none");
}
