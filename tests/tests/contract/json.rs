//! Bodies made to hurt (threat 11): each is refused, fast.

use std::time::{Duration, Instant};

use skylift_tests::{Platform, Request};

/// What the threat catalogue promises, with room for a machine that does other things too.
const FAST: Duration = Duration::from_millis(500);

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
