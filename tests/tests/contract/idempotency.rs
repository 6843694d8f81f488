//! `Idempotency-Key`.

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
}

#[tokio::test]
async fn a_key_survives_a_crash() {
    let mut platform = Platform::start().await;
    platform.app("again").await;
    let body = json!({ "git": { "url": "https://example.invalid/site.git" } });
    let request = || Request::post("/v1/apps/again/deployments").header("idempotency-key", "k").json(&body);
    let first = platform.api(request()).await;
    platform.crash().await;
    let second = platform.api(request()).await;
    assert_eq!((first.status, &first.json()["id"]), (second.status, &second.json()["id"]));
}
