//! Worker processes that the backlog starts and ends.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use skylift_tests::process::with_marker;
use skylift_tests::spread::OwnStores;
use skylift_tests::{Platform, Request, wait};

const NAME: &str = "a_burst_starts_workers_that_end_once_it_is_drained_and_never_before_their_starter_does";

/// Queues so many runs that wait more than they calculate; their ids.
async fn burst(platform: &Platform, count: usize) -> BTreeSet<String> {
    let one =
        |number: usize| json!({ "language": "bash", "source": format!("sleep 0.3; echo {number}"), "ttl_s": 600 });
    let runs: Vec<Value> = (0..count).map(one).collect();
    let taken = platform.api(Request::post("/v1/runs/batch").json(&json!({ "runs": runs }))).await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    taken.json()["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// Those of these runs that are done, once they are so many.
async fn done(platform: &Platform, ids: &BTreeSet<String>, least: usize) -> Vec<Value> {
    wait::until("they are done", async || {
        let all = platform.api(Request::get("/v1/runs?state=done&limit=500")).await.json();
        let is_one = |run: &&Value| ids.contains(run["id"].as_str().unwrap());
        let done: Vec<Value> = all["runs"].as_array()?.iter().filter(is_one).cloned().collect();
        (done.len() >= least).then_some(done)
    })
    .await
}

async fn workers(platform: &Platform) -> Value {
    platform.api(Request::get("/v1/workers")).await.json()
}

/// Waits until so many workers that were started by the backlog take runs.
async fn started(platform: &Platform, count: usize) {
    wait::until("workers are started", async || {
        let told = workers(platform).await;
        let serves = |one: &&Value| one["state"] == "ok" && one["drains"] == false && one["started_by"].is_string();
        (told["workers"].as_array()?.iter().filter(serves).count() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_burst_starts_workers_that_end_once_it_is_drained_and_never_before_their_starter_does() {
    let Some(stores) = OwnStores::start(NAME).await else { return };
    let settings = format!("{}\n[runs]\nat_once = 1\nworkers_max = 2\n", stores.settings());
    let mut platform = Platform::prepared_on(stores.postgres.url(), &settings);
    platform.up().await;
    let marker = platform.data().join("workers").display().to_string();
    let ids = burst(&platform, 40).await;
    started(&platform, 2).await;
    let told = workers(&platform).await["workforce"].clone();
    assert_eq!(
        (&told["in_service"], &told["scaling"]["fixed"], &told["scaling"]["max"]),
        (&json!(3), &json!(1), &json!(2))
    );
    for run in done(&platform, &ids, 40).await {
        assert_eq!(
            (&run["status"], &run["attempts"]),
            (&json!("ok"), &json!(1)),
            "whoever held it was let finish: {run}"
        );
    }
    wait::until("they have ended", async || with_marker(&marker).is_empty().then_some(())).await;
    let told = workers(&platform).await;
    assert_eq!(told["workers"].as_array().unwrap().len(), 1, "who leaves says so: {told}");
    let log = platform.log();
    assert!(!log.contains("a worker ended by itself") && !log.contains("runs are given back"), "none was cut off");
    let metrics = wait::until("it is seen that nothing waits", async || {
        let metrics = platform.send(Request::get("/metrics").host("localhost")).await.text();
        metrics.contains("\nskylift_runs_visible 0\n").then_some(metrics)
    })
    .await;
    for told in ["skylift_workers{state=\"in_service\"} 1", "skylift_runs_per_worker_second "] {
        assert!(metrics.contains(told), "{told}\n{metrics}");
    }
    let shown = platform.cli(&["work"]).await.ok().stdout;
    assert!(
        shown.contains("runs in a worker-second ") && shown.contains("wanted 1: 1 that are there anyway"),
        "{shown}"
    );

    // Whoever started them is killed: they end by themselves, and what they had is there for others at once. What the killed one had
    // itself is, too, once its lease is over.
    let ids = burst(&platform, 30).await;
    started(&platform, 2).await;
    platform.kill().await;
    wait::until("they end with who started them", async || with_marker(&marker).is_empty().then_some(())).await;
    platform.up().await;
    for run in done(&platform, &ids, 29).await {
        assert_eq!(run["status"], "ok", "{run}");
    }
}

#[tokio::test]
async fn workers_are_not_started_over_stores_that_only_one_process_can_use() {
    let mut platform = Platform::prepared("[runs]\nworkers_max = 1\n");
    if platform.rows.is_some() || platform.spread.is_some() {
        return;
    }
    assert!(!platform.try_up().await);
    assert!(platform.log().contains("[runs] workers_max"), "{}", platform.log());
}
