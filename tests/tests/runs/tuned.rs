//! How warm a worker keeps its languages.

use serde_json::json;
use skylift_tests::{Platform, Request, wait};

use crate::{key, run, with_key};

#[tokio::test]
async fn how_warm_a_worker_keeps_its_languages_is_told_with_reasons() {
    let platform = Platform::start().await;
    let nothing = platform.api(Request::get("/v1/tuner")).await.json();
    assert_eq!(nothing, json!({ "tuners": [] }), "nothing was run");
    for (language, source) in [("python", "print(1)"), ("bash", "true"), ("python", "print(2)")] {
        let ended = run(&platform, &json!({ "language": language, "source": source })).await.json();
        assert_eq!(ended["status"], "ok", "{ended}");
    }
    let told = wait::until("the worker tells of both languages", async || {
        let told = platform.api(Request::get("/v1/tuner")).await.json()["tuners"][0].clone();
        (told["pools"].as_array()?.len() == 2).then_some(told)
    })
    .await;
    let [bash, python] = [&told["pools"][0], &told["pools"][1]];
    assert_eq!((&bash["language"], &bash["depth"], &bash["window"]), (&json!("bash"), &json!(null), &json!(null)));
    assert!(python["depth"]["value"].as_f64() >= Some(2.0), "{python}");
    let reasons = [
        &python["depth"],
        &python["window"],
        &python["memory_hint_bytes"],
        &told["concurrency"],
        &told["backlog_target"],
    ];
    for reason in reasons {
        assert!(reason["why"].as_str().is_some_and(|why| !why.is_empty()), "{told}");
    }
    let (loaded, place) = (&python["loaded_bytes"], &python["place_bytes"]);
    assert!(loaded.as_u64() > Some(1 << 20) && place.as_u64() > Some(1 << 20), "{python}");
    assert!(python["service_us"].as_u64() > Some(0), "{python}");
    let (_, secret) = key(&platform, &json!({ "name": "runs", "scopes": ["runs"] })).await;
    let asked = with_key(&platform, &secret, Request::get("/v1/tuner")).await;
    asked.is_error(403, "forbidden");
}
