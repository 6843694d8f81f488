//! How much keys may have on one day, and what becomes of runs whose key was revoked.

use serde_json::json;
use skylift_tests::{Platform, Request, wait};

use crate::queued::{get, once, queue};
use crate::{key, with_key};

#[tokio::test]
async fn a_key_has_as_much_as_its_quota_in_a_day_and_is_told_when_there_is_more() {
    let platform = Platform::start().await;
    let quota = json!({ "runs_per_day": 3 });
    let (_, limited) = key(&platform, &json!({ "name": "a", "scopes": ["runs"], "quota": quota })).await;
    let one = json!({ "language": "bash", "source": "echo 1" });
    let run = || Request::post("/run").json(&one);
    assert_eq!(with_key(&platform, &limited, run()).await.status, 200);
    let batch = json!({ "runs": [one, one, one] });
    let refused = with_key(&platform, &limited, Request::post("/v1/runs/batch").json(&batch)).await;
    refused.is_error(429, "rate_limited");
    assert_eq!((refused.header("ratelimit-limit"), refused.header("ratelimit-remaining")), ("3", "2"));
    for status in [200, 200, 429] {
        assert_eq!(with_key(&platform, &limited, run()).await.status, status);
    }
    let refused = with_key(&platform, &limited, run()).await;
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=86_400).contains(&seconds) && refused.header("ratelimit-reset") == refused.header("retry-after"));
    let (_, cpu) = key(&platform, &json!({ "name": "b", "scopes": ["runs"], "quota": { "cpu_s_per_day": 1 } })).await;
    let busy =
        json!({ "language": "bash", "source": "while :; do :; done", "limits": { "cpu_ms": 1500, "wall_ms": 30_000 } });
    assert_eq!(with_key(&platform, &cpu, Request::post("/run").json(&busy)).await.json()["status"], "cpu_limit");
    wait::until("what it used is known", async || (with_key(&platform, &cpu, run()).await.status == 429).then_some(()))
        .await;
    assert_eq!(platform.api(run()).await.status, 200, "the owner has no quota");
    let shown = platform.cli(&["keys", "ls"]).await.ok().stdout;
    assert!(shown.contains("3 of 3 runs") && shown.contains(" of 1 s"), "{shown}");
    let made = platform
        .cli(&["keys", "create", "c", "--scope", "runs", "--quota-runs", "7", "--quota-cpu-seconds", "9"])
        .await;
    made.ok();
    let listed = platform.api(Request::get("/v1/keys")).await.json();
    assert_eq!(listed["keys"][2]["quota"], json!({ "runs_per_day": 7, "cpu_s_per_day": 9 }));
    for quota in [json!({}), json!({ "runs_per_day": 0 }), json!({ "cpu_s_per_day": 0 })] {
        let request = Request::post("/v1/keys").json(&json!({ "name": "d", "scopes": ["runs"], "quota": quota }));
        platform.api(request).await.is_error(422, "invalid");
    }
}

#[tokio::test]
async fn what_waits_or_runs_of_a_key_that_is_revoked_is_cancelled_with_the_reason() {
    let platform = Platform::configured("[runs]\nat_once = 1").await;
    let (id, revoked) = key(&platform, &json!({ "name": "a", "scopes": ["runs"] })).await;
    let sent = async |source: &str| {
        let request = json!({ "language": "python", "source": source, "mode": "async" });
        let queued = with_key(&platform, &revoked, Request::post("/v1/runs").json(&request)).await;
        queued.json()["id"].as_str().unwrap().to_owned()
    };
    let runs = sent("import time; time.sleep(60)").await;
    once(&platform, &runs, "running").await;
    let waits = sent("print(1)").await;
    let owners = queue(&platform, "print(2)", &json!({})).await;
    assert_eq!(platform.api(Request::new("DELETE", &format!("/v1/keys/{id}"))).await.status, 204);
    for run in [&runs, &waits] {
        let run = get(&platform, run).await;
        assert_eq!((&run["state"], &run["error"]), (&json!("cancelled"), &json!("its key was revoked")));
    }
    // Its place is free: what ran has ended, and what waited was passed over.
    assert_eq!(once(&platform, &owners, "done").await["stdout"], "2\n");
    assert_eq!(
        (&get(&platform, &waits).await["attempts"], get(&platform, &waits).await["state"].as_str()),
        (&json!(0), Some("cancelled"))
    );
}
