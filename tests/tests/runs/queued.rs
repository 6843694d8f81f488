//! Runs that outlive their request: acknowledged once they are on disk, followed from anywhere, ended once.

use serde_json::{Value, json};
use skylift_tests::{Platform, Request, wait};

use crate::{key, with_key};

/// Queues a run; its id.
pub(crate) async fn queue(platform: &Platform, source: &str, more: &Value) -> String {
    let mut request = json!({ "language": "python", "source": source, "mode": "async" });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let queued = platform.api(Request::post("/v1/runs").json(&request)).await;
    assert_eq!(queued.status, 202, "{}", queued.text());
    let run = queued.json();
    assert_eq!((&run["state"], &run["status"], &run["stdout"]), (&json!("queued"), &Value::Null, &json!("")));
    assert_eq!(queued.header("location"), format!("/v1/runs/{}", run["id"].as_str().unwrap()));
    run["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn get(platform: &Platform, id: &str) -> Value {
    platform.api(Request::get(&format!("/v1/runs/{id}"))).await.json()
}

/// A run, once it is in this state.
pub(crate) async fn once(platform: &Platform, id: &str, state: &str) -> Value {
    wait::until(state, async || {
        let run = get(platform, id).await;
        (run["state"] == state).then_some(run)
    })
    .await
}

/// The events of a stream: their ids, names and data.
fn events(text: &str) -> Vec<(String, String, Value)> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {block}")).trim().to_owned()
    };
    let blocks = text.split("\n\n").filter(|block| block.contains("event:"));
    blocks
        .map(|block| {
            let data = serde_json::from_str(&field(block, "data:")).unwrap();
            (field(block, "id:"), field(block, "event:"), data)
        })
        .collect()
}

/// All that was printed to a stream, by its events.
fn printed(events: &[(String, String, Value)], stream: &str) -> String {
    let pieces = events.iter().filter(|(_, name, _)| name == stream);
    pieces.map(|(_, _, data)| data["data"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_is_queued_is_followed_from_anywhere_and_told_until_its_time_is_over() {
    let platform = Platform::start().await;
    let source = "import sys, time\nfor n in range(4):\n    print(n, 'é', flush=True)\n    time.sleep(0.1)\nprint('x', file=sys.stderr)";
    let id = queue(&platform, source, &json!({ "ttl_s": 600 })).await;
    let follow = async |after: &str| {
        let request = Request::get(&format!("/v1/runs/{id}/events"));
        let request = if after.is_empty() { request } else { request.header("last-event-id", after) };
        events(&platform.api(request).await.text())
    };
    let live = follow("").await;
    let all = "0 é\n1 é\n2 é\n3 é\n";
    assert_eq!((printed(&live, "stdout").as_str(), printed(&live, "stderr").as_str()), (all, "x\n"));
    assert!(live.len() > 4, "as it comes, not all at the end: {live:?}");
    let (_, name, run) = live.last().unwrap();
    assert_eq!((name.as_str(), &run["stdout"], &run["attempts"]), ("done", &json!(all), &json!(1)));
    assert_eq!(*run, get(&platform, &id).await);
    let numbers = |id: &str| id.split('.').map(|number| number.parse::<u64>().unwrap()).collect::<Vec<_>>();
    for pair in live.windows(2) {
        assert!(numbers(&pair[0].0) < numbers(&pair[1].0), "{pair:?}");
    }
    // From wherever somebody was, exactly the rest follows.
    let (last, others) = live.split_last().unwrap();
    for (at, event) in others.iter().enumerate() {
        let (seen, rest) = (&live[..=at], follow(&event.0).await);
        for (stream, whole) in [("stdout", all), ("stderr", "x\n")] {
            assert_eq!(printed(seen, stream) + &printed(&rest, stream), whole, "after {event:?}");
        }
        assert!(rest.iter().all(|next| numbers(&next.0) > numbers(&event.0)), "after {event:?}: {rest:?}");
        assert_eq!(rest.last().unwrap(), last);
    }
    let after = async |after: &str| {
        platform.api(Request::get(&format!("/v1/runs/{id}/events")).header("last-event-id", after)).await
    };
    assert_eq!(after(&last.0).await.brief(), "204 ", "there is no rest");
    after("12").await.is_error(400, "bad_request");
    let (_, other) = key(&platform, &json!({ "name": "other", "scopes": ["runs"] })).await;
    for path in [format!("/v1/runs/{id}"), format!("/v1/runs/{id}/events")] {
        with_key(&platform, &other, Request::get(&path)).await.is_error(404, "not_found");
    }
    with_key(&platform, &other, Request::post(&format!("/v1/runs/{id}/cancel"))).await.is_error(404, "not_found");
    let metrics = platform.send(Request::get("/metrics").host("localhost")).await.text();
    for counted in [
        r#"skylift_runs_total{plane="work",language="python",status="ok"} 1"#,
        r#"skylift_run_stage_seconds_count{plane="work",language="python",stage="queue"} 1"#,
        r#"skylift_run_stage_seconds_count{plane="work",language="python",stage="run"} 1"#,
    ] {
        assert!(metrics.contains(counted), "{counted}\n{metrics}");
    }
    let listed = with_key(&platform, &other, Request::get("/v1/runs")).await.json();
    assert_eq!(listed["runs"], json!([]));
    let short = queue(&platform, "print(1)", &json!({ "ttl_s": 1 })).await;
    wait::until("it is forgotten", async || {
        let status = platform.api(Request::get(&format!("/v1/runs/{short}"))).await.status;
        (status == 404).then_some(())
    })
    .await;
    let sync = json!({ "language": "python", "source": "print(2)" });
    for (request, status) in [(json!({}), 404), (json!({ "ttl_s": 60 }), 200)] {
        let mut sync = sync.clone();
        sync.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
        let run = crate::run(&platform, &sync).await.json();
        let kept = platform.api(Request::get(&format!("/v1/runs/{}", run["id"].as_str().unwrap()))).await;
        assert_eq!(kept.status, status, "{}", kept.text());
    }
}

#[tokio::test]
async fn a_stream_tells_what_is_printed_as_it_is_and_ends_with_the_verdict() {
    let platform = Platform::start().await;
    let source = "import time\nfor n in range(3):\n    print(n, flush=True)\n    time.sleep(0.4)\nraise SystemExit(3)";
    let request = json!({ "language": "python", "source": source, "mode": "stream" });
    let answer = platform.api(Request::post("/run").json(&request)).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let told = events(&answer.text());
    assert_eq!(printed(&told, "stdout"), "0\n1\n2\n");
    assert_eq!(told[0].1, "running");
    let (_, name, run) = told.last().unwrap();
    assert_eq!((name.as_str(), &run["status"], &run["exit_code"]), ("done", &json!("exit_nonzero"), &json!(3)));
    assert!(told.len() > 4, "{told:?}");
    // However quickly it is over: by then nobody may have looked.
    for _ in 0..20 {
        let quick = json!({ "language": "bash", "source": "echo 1", "mode": "stream" });
        let told = events(&platform.api(Request::post("/run").json(&quick)).await.text());
        let names: Vec<&str> = told.iter().map(|(_, name, _)| name.as_str()).collect();
        assert_eq!(names, ["running", "stdout", "done"]);
    }
    // Of several inputs nobody could tell whose a piece is.
    let several = json!({ "language": "bash", "source": "cat", "stdins": ["1", "2"], "mode": "stream" });
    let told = events(&platform.api(Request::post("/run").json(&several)).await.text());
    let names: Vec<&str> = told.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["running", "done"]);
    assert_eq!(told[1].2["runs"][1]["stdout"], "2");
    let batch = json!([{ "language": "bash", "source": "true" }, several]);
    let refused = platform.api(Request::post("/v1/runs/batch").json(&batch)).await;
    assert!(refused.is_error(422, "invalid").text().contains("`runs[1].mode`"), "{}", refused.text());
    let keyed = Request::post("/run").header("idempotency-key", "k").json(&request);
    platform.api(keyed).await.is_error(422, "invalid");
}

#[tokio::test]
async fn what_is_cancelled_ends_and_a_batch_is_all_or_nothing() {
    let platform = Platform::configured("[runs]\nat_once = 1").await;
    let endless = queue(&platform, "import time\nprint('begun', flush=True)\ntime.sleep(60)", &json!({})).await;
    once(&platform, &endless, "running").await;
    let waits = queue(&platform, "print('never')", &json!({})).await;
    let urgent = queue(&platform, "print('first')", &json!({ "priority": 5 })).await;
    for id in [&waits, &endless, &endless] {
        let answer = platform.api(Request::post(&format!("/v1/runs/{id}/cancel"))).await;
        assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("cancelled")));
    }
    assert_eq!(once(&platform, &urgent, "done").await["stdout"], "first\n");
    platform.api(Request::post(&format!("/v1/runs/{urgent}/cancel"))).await.is_error(409, "conflict");
    assert_eq!(get(&platform, &waits).await["state"], "cancelled");

    let one = |source: &str| json!({ "language": "python", "source": source });
    let wrong = json!({ "runs": [one("print(1)"), { "language": "pyhton", "source": "" }] });
    for wrong in [&wrong, &wrong["runs"]] {
        let refused = platform.api(Request::post("/v1/runs/batch").json(wrong)).await;
        refused.is_error(422, "invalid");
        let error = &refused.json()["error"];
        assert!(error["message"].as_str().unwrap().starts_with("`runs[1].language`: "), "{error}");
        assert!(error["hint"].as_str().unwrap().starts_with("did you mean `python`?"), "{error}");
    }
    let large = json!([one("print(1)"), { "language": "python", "source": "", "limits": { "pids": 100_000 } }]);
    let refused = platform.api(Request::post("/v1/runs/batch").json(&large)).await;
    assert!(refused.text().contains("`runs[1].limits.pids`: 100000 is not between"), "{}", refused.text());
    platform.api(Request::post("/v1/runs/batch").json(&json!({ "runs": [] }))).await.is_error(422, "invalid");
    let right: Vec<Value> = (0..20).map(|number| one(&format!("print({number})"))).collect();
    let taken = platform.api(Request::post("/v1/runs/batch").json(&json!(right))).await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    let ids = taken.json()["ids"].as_array().unwrap().clone();
    assert!(ids.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()), "in the batch's order: {ids:?}");
    for (number, id) in ids.iter().enumerate() {
        let run = once(&platform, id.as_str().unwrap(), "done").await;
        assert_eq!(run["stdout"], format!("{number}\n"));
    }
    let listed = platform.api(Request::get("/v1/runs?limit=500")).await.json();
    assert_eq!(listed["runs"].as_array().unwrap().len(), 23, "nothing of the batch that was refused");
}

#[tokio::test]
async fn from_the_command_line_runs_are_queued_listed_shown_and_ended() {
    let platform = Platform::start().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, source: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, source).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let languages = platform.cli(&["languages"]).await.ok().stdout;
    assert!(languages.lines().any(|line| line.starts_with("python ") && line.contains("main.py")), "{languages}");
    let quick = write("quick.py", "import sys; print(sys.argv[1:]); print('on stderr', file=sys.stderr); sys.exit(3)");
    let queued = platform.cli(&["run", "--detach", &quick, "a", "b"]).await.ok();
    let id = queued.stdout.trim();
    assert!(queued.stderr.contains(&format!("skylift runs show --wait {id}")), "{}", queued.stderr);
    let shown = platform.cli(&["runs", "show", "--wait", id]).await.ok();
    assert_eq!(shown.stdout, "['a', 'b']\n");
    assert!(shown.stderr.contains("on stderr") && shown.stderr.contains("exit code 3"), "{}", shown.stderr);
    let leaves = write("leaves.py", "open('left.txt', 'w').write('here')");
    let left = platform.cli(&["run", "--detach", "--output", "*.txt", &leaves]).await.ok().stdout;
    let to = folder.path().join("to");
    let shown = platform.cli(&["runs", "show", "--wait", left.trim(), "--output-dir", to.to_str().unwrap()]).await.ok();
    assert!(shown.stderr.contains("left.txt"), "{}", shown.stderr);
    assert_eq!(std::fs::read(to.join("left.txt")).unwrap(), b"here");
    assert_eq!(platform.cli(&["runs", "show", id, "--json"]).await.ok().json()["stdout"], "['a', 'b']\n");

    let slow = platform.cli(&["run", "--detach", &write("slow.py", "import time; time.sleep(60)")]).await.ok().stdout;
    let slow = slow.trim();
    let listed = platform.cli(&["runs", "--json", "ls", "--limit", "2"]).await.ok().json();
    assert_eq!(listed["runs"].as_array().unwrap().len(), 2);
    let listed = platform.cli(&["runs"]).await.ok().stdout;
    assert!(listed.contains(slow) && listed.contains(id) && listed.contains("exit_nonzero"), "{listed}");
    platform.cli(&["runs", "cancel", slow]).await.ok();
    let shown = platform.cli(&["runs", "show", "--wait", slow]).await.ok();
    assert!(shown.stderr.contains("it is cancelled"), "{}", shown.stderr);
    assert!(platform.cli(&["runs", "--state", "cancelled"]).await.ok().stdout.contains(slow));
    platform.cli(&["runs", "--state", "dead", "show", slow]).await.ends_with(64);
    platform.cli(&["runs", "redrive", slow]).await.ends_with(5);
    platform.cli(&["runs", "show", "x-000000000zzzzzzz"]).await.ends_with(3);
    platform.cli(&["run", "--detach", "--output", "*", "--output-dir", ".", &quick]).await.ends_with(125);

    let standard = write("standard.cpp", "#include <iostream>\nint main() { std::cout << __cplusplus; }");
    let compiled = platform.cli(&["run", "--compile-option", "-std=c++20", "--ttl", "600", &standard]).await.ok();
    assert_eq!(compiled.stdout, "202002");
    let kept = platform.cli(&["runs", "--json", "ls", "--limit", "1"]).await.ok().json();
    assert_eq!(kept["runs"][0]["language"], "c++", "{kept:#}");
    let later = platform.cli(&["run", "--detach", "--priority", "-5", "--ttl", "600", &quick]).await.ok().stdout;
    let later = platform.cli(&["runs", "show", "--wait", "--json", later.trim()]).await.ok().json();
    assert_eq!(later["status"], "exit_nonzero", "{later:#}");
    platform.cli(&["run", "--priority", "5", &quick]).await.ends_with(125);
    let warns = write("warns.c", "int main(void) { int unused; return 0; }");
    let warned = platform.cli(&["run", "--compile-option", "-Wall", &warns]).await.ok().stderr;
    assert!(warned.contains("unused variable"), "{warned}");
    let bytes = write("bytes.py", "import sys; sys.stdout.buffer.write(b'\\xff\\n')");
    let bytes = platform.cli(&["run", "--detach", &bytes]).await.ok().stdout;
    platform.cli(&["runs", "show", "--wait", bytes.trim()]).await.ok();
    let told =
        async |query: &str| platform.api(Request::get(&format!("/v1/runs/{}{query}", bytes.trim()))).await.json();
    assert_eq!(told("").await["stdout"], "\u{fffd}\n");
    assert_eq!(told("?encoding=base64").await["stdout"], "/wo=");
    let limits = platform.cli(&["limits"]).await.ok().stdout;
    assert!(limits.lines().any(|line| line.starts_with("wall_ms ") && line.contains(" 10000 ")), "{limits}");
}
