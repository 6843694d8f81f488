//! Every endpoint: what it asks of a client before it does anything.

use serde_json::Value;
use skylift_tests::{Platform, Request, wait};

/// What may be asked without a token. `/metrics` only because the test asks from this machine.
const OPEN: &[&str] = &["/healthz", "/readyz", "/metrics", "/v1/openapi.json"];

async fn description(platform: &Platform) -> Value {
    platform.send(Request::get("/v1/openapi.json").host("localhost")).await.json()
}

/// Every method and path, with something that exists nowhere for each parameter.
fn endpoints(description: &Value) -> Vec<(String, String)> {
    let mut endpoints = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        let unknown = path
            .replace("{app}", "no-such-app")
            .replace("{deployment}", "d-000000000zzzzzzz")
            .replace("{upload}", "u-000000000zzzzzzz")
            .replace("{instance}", "i-000000000zzzzzzz")
            .replace("{job}", "j-000000000zzzzzzz")
            .replace("{volume}", "no-such-volume")
            .replace("{key}", "t-000000000zzzzzzz")
            .replace("{run}", "x-000000000zzzzzzz")
            .replace("{database}", "no-such-database")
            .replace("{sha256}", &"0".repeat(64))
            .replace("{path}", "index.html");
        assert!(!unknown.contains('{'), "a parameter that this test does not know: {unknown}");
        for method in methods.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            endpoints.push((method.to_uppercase(), unknown.clone()));
        }
    }
    assert!(endpoints.len() > 20, "{endpoints:?}");
    endpoints
}

#[tokio::test]
async fn no_endpoint_does_anything_without_a_token() {
    let platform = Platform::start().await;
    for (method, path) in endpoints(&description(&platform).await) {
        if OPEN.contains(&path.as_str()) {
            continue;
        }
        let request = || Request::new(&method, &path).host("localhost");
        platform.send(request()).await.is_error(401, "unauthorized");
        platform.send(request().token("wrong")).await.is_error(401, "unauthorized");
        platform.send(request().header("authorization", "Basic eDp5")).await.is_error(401, "unauthorized");
        assert_ne!(platform.api(Request::new(&method, &path)).await.status, 401, "{method} {path} with the token");
    }
}

#[tokio::test]
async fn the_token_is_taken_in_either_header() {
    let platform = Platform::start().await;
    let request = || Request::get("/v1/apps").host("localhost");
    assert_eq!(platform.send(request().token(&platform.token())).await.status, 200);
    assert_eq!(platform.send(request().header("x-api-key", &platform.token())).await.status, 200);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_at_every_endpoint() {
    let platform = Platform::start().await;
    for (method, path) in endpoints(&description(&platform).await) {
        if !path.contains("no-such-app") && !path.contains("zzzz") {
            continue;
        }
        let request = Request::new(&method, &path);
        let request = match (method.as_str(), path.rsplit('/').next().unwrap()) {
            ("POST", "uploads") => request.json(&serde_json::json!({ "files": [] })),
            ("POST", "deployments") => {
                request.json(&serde_json::json!({ "git": { "url": "https://example.org/a.git" } }))
            }
            ("PATCH", last) if last.starts_with("t-") => request.json(&serde_json::json!({ "at_once": 1 })),
            ("PATCH", _) => request.json(&serde_json::json!({ "set": { "A": "b" } })),
            ("PUT", "net") => request.json(&serde_json::json!({ "in": [{ "from": "*" }] })),
            ("PUT", "instance-type") => request.json(&serde_json::json!({ "type": "small" })),
            ("PUT", "scaling") => request.json(&serde_json::json!({ "max": 2 })),
            ("POST", "databases" | "volumes") => request.json(&serde_json::json!({ "name": "main" })),
            ("POST", "run") => request.json(&serde_json::json!({ "command": ["true"] })),
            ("PUT", "instances") => request.json(&serde_json::json!({ "wanted": 1 })),
            _ => request,
        };
        let answer = platform.api(request).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.brief());
        answer.is_error(404, "not_found");
    }
}

#[tokio::test]
async fn a_request_without_a_token_is_refused_before_its_body_is_read() {
    let platform = Platform::start().await;
    for (method, path) in endpoints(&description(&platform).await) {
        if OPEN.contains(&path.as_str()) || method == "GET" {
            continue;
        }
        // The body never comes: whoever waits for it never answers.
        let request = Request::new(&method, &path).host("localhost").announcing(1 << 40);
        platform.send(request.header("content-type", "application/json")).await.is_error(401, "unauthorized");
    }
}

#[tokio::test]
async fn the_description_in_the_repository_is_the_one_that_is_served() {
    let platform = Platform::start().await;
    let served = platform.send(Request::get("/v1/openapi.json").host("localhost")).await.text();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    if std::env::var_os("SKYLIFT_UPDATE").is_some() {
        std::fs::write(path, format!("{}\n", served.trim_end())).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written.trim_end() == served.trim_end(), "docs/openapi.json is stale: run this test with SKYLIFT_UPDATE=1");
}

#[tokio::test]
async fn wrong_paths_and_methods_are_told_apart() {
    let platform = Platform::start().await;
    platform.api(Request::get("/v1/nothing")).await.is_error(404, "not_found");
    platform.api(Request::new("PUT", "/v1/apps")).await.is_error(405, "method_not_allowed");
    platform.api(Request::get("/v1/apps/%2e%2e")).await.is_error(404, "not_found");
}

#[tokio::test]
async fn whatever_stands_in_an_address_every_refusal_is_an_error_of_ours() {
    let platform = Platform::start().await;
    let description = description(&platform).await;
    let mut refused = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            for part in ["%ff", "%zz", "%", "%2", "%00", "%c0%ae", "%2e%2e%2f", "a%20b", "%e2%80%ae"] {
                let address = path.split('/').map(|piece| if piece.starts_with('{') { part } else { piece });
                let address = address.collect::<Vec<_>>().join("/");
                for query in ["", "?limit=x&tail=y&dir=%ff&follow=1&state=%ff", "?unknown=1", "?%"] {
                    let request = Request::new(&method.to_uppercase(), &format!("{address}{query}"));
                    let answer = platform.api(request).await;
                    assert_ne!(answer.status, 500, "{method} {address}{query}: {}", answer.brief());
                    if answer.status >= 400 {
                        let code = answer.json()["error"]["code"].as_str().unwrap().to_owned();
                        answer.is_error(answer.status, &code);
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 500, "{refused}");
    platform.api(Request::get("/v1/apps/%ff")).await.is_error(400, "bad_request");
    platform.api(Request::get("/v1/deployments?limit=x")).await.is_error(400, "bad_request");
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let platform = Platform::start().await;
    for name in ["", "A", "1a", "-a", "a_b", "a.b", "ü", "d-abc", "../x", "a b", "a;id", &"a".repeat(41)] {
        let answer = platform.api(Request::post("/v1/apps").json(&serde_json::json!({ "name": name }))).await;
        assert!(matches!(answer.status, 400 | 422), "{name}: {}", answer.brief());
    }
    assert!(platform.client().apps().await.unwrap().is_empty());
}

/// Two processes: `outages/told.rs`.
#[tokio::test]
async fn a_request_is_logged_and_answered_with_an_id_that_no_client_makes_up() {
    let platform = Platform::start().await;
    let made_up = "r-0123456789abcdef";
    let answer = platform.api(Request::get("/v1/apps").header("x-request-id", made_up)).await;
    let id = answer.header("x-request-id");
    assert!(answer.status == 200 && id != made_up, "{id}");
    let logged = |id: &str| {
        platform.log().lines().filter(|line| line.contains("\"target\":\"access\"") && line.contains(id)).count()
    };
    wait::until("it is logged", async || (logged(id) == 1).then_some(())).await;
    assert_eq!(logged(made_up), 0);
}
