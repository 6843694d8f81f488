//! Bodies made to hurt (threat 11): each is refused, fast.

use std::time::{Duration, Instant};

use skylift_model::DeploymentState;
use skylift_tests::{Platform, Request, site};

/// Far above what it takes (docs/api.md), far below what a parser that is quadratic would.
const FAST: Duration = Duration::from_secs(10);

async fn refused(platform: &Platform, what: &str, body: impl Into<Vec<u8>>, content_type: &str) {
    let request = Request::post("/v1/apps").header("content-type", content_type).body(body);
    let began = Instant::now();
    let answer = platform.api(request).await;
    let took = began.elapsed();
    assert!((400..500).contains(&answer.status), "{what}: {}", answer.brief());
    answer.is_error(answer.status, answer.json()["error"]["code"].as_str().unwrap());
    assert!(took < FAST, "{what} took {took:?}");
}

#[tokio::test]
async fn hostile_json_is_refused_fast_and_with_a_reason() {
    let platform = Platform::start().await;
    let json = "application/json";
    refused(&platform, "deep nesting", "[".repeat(100_000), json).await;
    refused(&platform, "deep nesting in a field", format!("{{\"name\":{}", "[".repeat(100_000)), json).await;
    refused(&platform, "a key twice", r#"{"name":"a","name":"b"}"#, json).await;
    refused(&platform, "an infinite number", r#"{"name":1e999}"#, json).await;
    refused(&platform, "a lone surrogate", r#"{"name":"\ud800"}"#, json).await;
    refused(&platform, "invalid UTF-8", b"{\"name\":\"\xff\"}".to_vec(), json).await;
    refused(&platform, "an unknown key", r#"{"name":"a","owner":"b"}"#, json).await;
    refused(&platform, "two documents", r#"{"name":"a"}{"name":"b"}"#, json).await;
    refused(&platform, "nothing", "", json).await;
    refused(&platform, "another content type", r#"{"name":"a"}"#, "text/plain").await;
    refused(&platform, "a form", "name=a", "application/x-www-form-urlencoded").await;
    let long = format!("{{\"name\":\"{}\"}}", "a".repeat(50 << 20));
    refused(&platform, "a string of 50 MB", long, json).await;
    assert!(platform.client().apps().await.unwrap().is_empty());
}

#[tokio::test]
async fn json_that_nests_without_end_is_refused_wherever_it_is_taken() {
    let mut platform = Platform::start().await;
    platform.app("deep").await;
    let deep = ["[".repeat(100_000), "{\"a\":".repeat(100_000)];
    for (method, target) in [
        ("POST", "/v1/apps"),
        ("POST", "/v1/apps/deep/uploads"),
        ("POST", "/v1/apps/deep/deployments"),
        ("POST", "/v1/apps/deep/rollback"),
        ("POST", "/v1/apps/deep/purge"),
        ("PATCH", "/v1/apps/deep/env"),
    ] {
        for body in &deep {
            let request = Request::new(method, target).header("content-type", "application/json");
            platform.api(request.body(body.as_bytes())).await.is_error(400, "bad_request");
        }
    }
    assert!(platform.is_running());
}

#[tokio::test]
async fn a_source_whose_settings_nest_without_end_fails_alone() {
    let mut platform = Platform::start().await;
    let app = platform.app("deep").await;
    app.deploy(&site("live")).await;
    let (json, toml) = ("[".repeat(100_000), format!("a = {}", "[".repeat(100_000)));
    for (file, text) in [("package.json", &format!("{{\"a\":{json}")), ("package.json", &json), ("skylift.toml", &toml)]
    {
        let failed = app.attempt(&site("deep").file(file, text)).await;
        assert_eq!(failed.state, DeploymentState::Failed, "{file}");
        let failure = failed.failure.unwrap();
        assert!(failure.step == "detect" && failure.message.contains(file), "{failure:?}");
    }
    assert_eq!(app.get("/").await.brief(), "200 live");
    assert!(platform.is_running());
}
