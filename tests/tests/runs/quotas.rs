//! How much keys may have on one day, and what becomes of runs whose key was revoked.

use serde_json::{Value, json};
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
    let batch = json!([one, one, one, one]);
    let never = with_key(&platform, &limited, Request::post("/v1/runs/batch").json(&batch)).await;
    assert!(never.is_error(422, "invalid").text().contains("may run 3 in a day"), "{}", never.text());
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

#[tokio::test]
async fn a_run_whose_client_waits_ends_with_its_key() {
    let platform = Platform::start().await;
    let (id, revoked) = key(&platform, &json!({ "name": "a", "scopes": ["runs"], "at_once": 1 })).await;
    let request =
        || Request::post("/run").json(&json!({ "language": "python", "source": "import time; time.sleep(60)" }));
    // Where what asks whether it runs is there before it, it is refused itself.
    let waits = wait::until("its turn", async || {
        let answer = with_key(&platform, &revoked, request()).await;
        (answer.status != 429).then_some(answer)
    });
    let revokes = async {
        // It has begun where no other may.
        wait::until("it runs", async || {
            let second = json!({ "language": "bash", "source": "true" });
            let answer = with_key(&platform, &revoked, Request::post("/run").json(&second)).await;
            (answer.status == 429).then_some(())
        })
        .await;
        let changed = Request::new("PATCH", &format!("/v1/keys/{id}")).json(&json!({ "at_once": null }));
        assert_eq!(platform.api(changed).await.status, 200);
        assert_eq!(platform.api(Request::new("DELETE", &format!("/v1/keys/{id}"))).await.status, 204);
    };
    let (ended, ()) = tokio::join!(waits, revokes);
    ended.is_error(401, "unauthorized");
    assert!(ended.text().contains("its key was revoked"), "{}", ended.text());
}

#[tokio::test]
async fn what_a_key_may_have_is_changed_for_its_next_request() {
    let platform = Platform::start().await;
    let limits = json!({ "name": "a", "scopes": ["runs"], "rate": { "runs": 1, "per_s": 3600 }, "quota": { "runs_per_day": 5 } });
    let (id, secret) = key(&platform, &limits).await;
    let run = async |more: serde_json::Value| {
        let mut request = json!({ "language": "bash", "source": "true" });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with_key(&platform, &secret, Request::post("/run").json(&request)).await
    };
    assert_eq!(run(json!({})).await.status, 200);
    run(json!({})).await.is_error(429, "rate_limited");
    let change = async |change: serde_json::Value| {
        platform.api(Request::new("PATCH", &format!("/v1/keys/{id}")).json(&change)).await
    };
    assert_eq!(change(json!({ "rate": { "runs": 1000, "per_s": 1 } })).await.status, 200);
    assert_eq!(run(json!({})).await.status, 200, "a rate that was used up is no debt");
    run(json!({ "priority": 1 })).await.is_error(403, "forbidden");
    assert_eq!(run(json!({ "priority": -1 })).await.status, 200, "who goes last harms nobody");
    let told = change(json!({ "priority_max": 5, "quota": { "runs_per_day": 4 } })).await.json();
    assert_eq!((&told["priority_max"], &told["rate"]["runs"]), (&json!(5), &json!(1000)), "what is left out stays");
    assert_eq!(run(json!({ "priority": 5 })).await.status, 200);
    run(json!({})).await.is_error(429, "rate_limited");
    platform.cli(&["keys", "set", &id, "--quota-runs", "none", "--priority-max", "none"]).await.ok();
    run(json!({ "priority": 5 })).await.is_error(403, "forbidden");
    assert_eq!(run(json!({})).await.status, 200);
    for wrong in [json!({ "at_once": 0 }), json!({ "priority_max": 101 }), json!({ "expires_in_s": 0 })] {
        change(wrong).await.is_error(422, "invalid");
    }
    change(json!({ "scopes": ["everything"] })).await.is_error(400, "bad_request");
    assert_eq!(change(json!({ "expires_in_s": 1 })).await.status, 200);
    wait::until("its end", async || (run(json!({})).await.status == 401).then_some(())).await;
    change(json!({ "at_once": 1 })).await.is_error(404, "not_found");
    let listed = platform.api(Request::get("/v1/keys")).await.json();
    assert_eq!(listed["keys"], json!([]), "{listed}");
}

#[tokio::test]
async fn an_answer_that_is_not_read_holds_its_keys_place_until_its_connection_is_gone() {
    let platform = Platform::start().await;
    let (_, secret) = key(&platform, &json!({ "name": "deaf", "scopes": ["runs"], "at_once": 1 })).await;
    // More than the buffers of a connection take.
    let large = json!({ "language": "bash", "source": "head -c 8000000 /dev/zero | tr '\\0' x; head -c 8000000 /dev/zero | tr '\\0' x >&2",
        "limits": { "output_bytes": 8_388_608 } });
    let ask = |run: &Value| Request::post("/run").host("localhost").token(&secret).json(run);
    let small = json!({ "language": "bash", "source": "echo x" });
    for _ in 0..3 {
        assert_eq!(platform.send(ask(&small)).await.status, 200, "control: one after the other, read");
    }
    assert_eq!(platform.send(ask(&large)).await.text().len() / 16_000_000, 1, "control: a large one, read");
    let deaf = ask(&large).first_byte(platform.address()).await;
    platform.send(ask(&small)).await.is_error(429, "rate_limited");
    drop(deaf);
    let free = async || (platform.send(ask(&small)).await.status == 200).then_some(());
    wait::until("its place is free", free).await;
}

/// From when until when runs went on, as they told.
fn spans(runs: &[Value]) -> Vec<(f64, f64)> {
    let number = |line: Option<&str>| line.unwrap().parse().unwrap();
    let span = |run: &Value| {
        let mut lines = run["stdout"].as_str().unwrap().lines();
        (number(lines.next()), number(lines.next()))
    };
    runs.iter().map(span).collect()
}

#[tokio::test]
async fn of_what_a_key_queues_as_many_go_on_as_it_may_have_at_once() {
    let platform = Platform::configured("[runs]\nat_once = 4").await;
    let (_, bounded) = key(&platform, &json!({ "name": "a", "scopes": ["runs"], "at_once": 1 })).await;
    let source = "import time; print(time.time()); time.sleep(0.5); print(time.time())";
    let one = json!({ "language": "python", "source": source });
    let batch = json!({ "runs": vec![&one; 5] });
    let queued = with_key(&platform, &bounded, Request::post("/v1/runs/batch").json(&batch)).await;
    assert_eq!(queued.status, 202, "{}", queued.text());
    let ids: Vec<String> = serde_json::from_value(queued.json()["ids"].clone()).unwrap();
    // What is only queued is no reason to refuse: it waits for its turn.
    let mut more = one.clone();
    more["mode"] = json!("async");
    assert_eq!(with_key(&platform, &bounded, Request::post("/v1/runs").json(&more)).await.status, 202);
    let held_back = wait::until("it is held back", async || {
        let last = get(&platform, ids.last().unwrap()).await;
        Some(last["waits_for"].as_str()?.to_owned())
    })
    .await;
    assert!(held_back.contains("of whose queued runs 1 go on"), "{held_back}");
    let owners = queue(&platform, source, &json!({})).await;
    let mut ended = Vec::new();
    for id in &ids {
        ended.push(once(&platform, id, "done").await);
    }
    let own = spans(&ended);
    assert!(own.windows(2).all(|pair| pair[0].1 <= pair[1].0), "one after the other: {own:?}");
    let others = spans(&[once(&platform, &owners, "done").await]);
    assert!(others[0].0 < own[3].0, "who has no bound is not held up: {others:?} {own:?}");
}

#[tokio::test]
async fn what_a_key_queued_rests_once_its_day_is_used_up_and_goes_on_with_more() {
    let platform = Platform::start().await;
    let wanted = json!({ "name": "a", "scopes": ["runs"], "at_once": 1, "quota": { "cpu_s_per_day": 1 } });
    let (id, limited) = key(&platform, &wanted).await;
    let busy =
        json!({ "language": "bash", "source": "while :; do :; done", "limits": { "cpu_ms": 1500, "wall_ms": 30_000 } });
    let batch = json!({ "runs": [busy, { "language": "bash", "source": "echo 1" }] });
    let queued = with_key(&platform, &limited, Request::post("/v1/runs/batch").json(&batch)).await;
    let ids: Vec<String> = serde_json::from_value(queued.json()["ids"].clone()).unwrap();
    assert_eq!(once(&platform, &ids[0], "done").await["status"], "cpu_limit");
    // Its place is free, and what it used is known before that: the next does not begin.
    let rests = get(&platform, &ids[1]).await;
    assert_eq!(rests["state"], "queued", "{rests}");
    assert!(rests["waits_for"].as_str().unwrap().contains("used up (`cpu_s_per_day`)"), "{rests}");
    let listed = with_key(&platform, &limited, Request::get("/v1/runs?state=queued")).await.json();
    assert_eq!(listed["runs"][0]["waits_for"], rests["waits_for"]);
    let more = Request::new("PATCH", &format!("/v1/keys/{id}")).json(&json!({ "quota": { "cpu_s_per_day": 100 } }));
    assert_eq!(platform.api(more).await.status, 200);
    let ended = once(&platform, &ids[1], "done").await;
    assert_eq!((&ended["stdout"], &ended["waits_for"]), (&json!("1\n"), &Value::Null));
}

#[tokio::test]
async fn what_is_broken_off_has_cost_what_it_used() {
    let platform = Platform::start().await;
    let wanted = json!({ "name": "a", "scopes": ["runs"], "quota": { "cpu_s_per_day": 100 } });
    let (_, limited) = key(&platform, &wanted).await;
    let limits = json!({ "cpu_ms": 60_000, "wall_ms": 60_000 });
    let busy = json!({ "language": "bash", "source": "while :; do :; done", "mode": "async", "limits": limits });
    let queued = with_key(&platform, &limited, Request::post("/v1/runs").json(&busy)).await.json();
    let id = queued["id"].as_str().unwrap();
    once(&platform, id, "running").await;
    // A worker tells what it runs every few seconds, in which it uses something.
    wait::until("its worker tells that it runs", async || {
        let workers = platform.api(Request::get("/v1/workers")).await.json();
        (workers["workers"][0]["running"].as_u64()? > 0).then_some(())
    })
    .await;
    let used = async || platform.api(Request::get("/v1/keys")).await.json()["keys"][0]["today"]["cpu_us"].as_u64();
    assert_eq!(used().await.unwrap_or(0), 0, "it goes on");
    assert_eq!(platform.api(Request::post(&format!("/v1/runs/{id}/cancel"))).await.status, 200);
    wait::until("what it used is known", async || used().await.filter(|used| *used > 0)).await;
}

/// A key that may use a second of processors a day.
async fn of_a_second(platform: &Platform) -> (String, String) {
    key(platform, &json!({ "name": "a", "scopes": ["runs"], "quota": { "cpu_s_per_day": 1 } })).await
}

/// A run that uses so much for each of its inputs.
fn uses(cpu_ms: u64, inputs: usize) -> Value {
    let limits = json!({ "cpu_ms": cpu_ms, "wall_ms": 30_000 });
    json!({ "language": "bash", "source": "while :; do :; done", "stdins": vec![""; inputs], "limits": limits })
}

/// What a key has used today.
async fn used(platform: &Platform, id: &str) -> u64 {
    let listed = platform.api(Request::get("/v1/keys")).await.json();
    let key = listed["keys"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap();
    key["today"]["cpu_us"].as_u64().unwrap_or_default()
}

/// Waits until it is known that a key has used more than so much; how much that is then.
async fn once_used(platform: &Platform, id: &str, more_than_us: u64) -> u64 {
    wait::until("what it used is known", async || Some(used(platform, id).await).filter(|used| *used > more_than_us))
        .await
}

/// Has a key send a run four times at once; which statuses they are answered with.
async fn sent_at_once(platform: &Platform, key: &str, run: &Value) -> [u16; 4] {
    let send = || with_key(platform, key, Request::post("/run").json(run));
    let mut statuses = <[_; 4]>::from(tokio::join!(send(), send(), send(), send())).map(|answer| answer.status);
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn a_day_that_is_used_up_holds_for_those_that_were_let_in_before() {
    let mut platform = Platform::configured("[runs]\nat_once = 1").await;
    let (_, limited) = of_a_second(&platform).await;
    assert_eq!(sent_at_once(&platform, &limited, &uses(600, 1)).await, [200, 200, 429, 429]);
    let (id, limited) = of_a_second(&platform).await;
    let refused = with_key(&platform, &limited, Request::post("/run").json(&uses(600, 20))).await;
    refused.is_error(429, "rate_limited");
    assert!(refused.text().contains("used up before this run had ended"), "{}", refused.text());
    let used = once_used(&platform, &id, 1_000_000).await;
    assert!(used < 3_000_000, "two of its inputs of twenty: {used} us");
    platform.stop().await;
    platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-key-bounds");
    platform.up().await;
    let (_, limited) = of_a_second(&platform).await;
    assert_eq!(sent_at_once(&platform, &limited, &uses(600, 1)).await, [200; 4], "without the defence");
}

#[tokio::test]
async fn a_queued_run_of_many_inputs_stops_where_its_day_is_used_up_and_begins_anew_with_more() {
    let platform = Platform::start().await;
    let (id, limited) = of_a_second(&platform).await;
    let many = json!({ "runs": [uses(600, 3)] });
    let queued = with_key(&platform, &limited, Request::post("/v1/runs/batch").json(&many)).await.json();
    let run = queued["ids"][0].as_str().unwrap();
    wait::until("it waits for more", async || {
        let run = get(&platform, run).await;
        let waits = run["waits_for"].as_str()?;
        (waits.contains("used up") && run["error"].as_str()?.contains("before it ended")).then_some(())
    })
    .await;
    let more = Request::new("PATCH", &format!("/v1/keys/{id}")).json(&json!({ "quota": { "cpu_s_per_day": 100 } }));
    assert_eq!(platform.api(more).await.status, 200);
    let ended = once(&platform, run, "done").await;
    assert_eq!((ended["runs"].as_array().unwrap().len(), &ended["attempts"]), (3, &json!(2)));
}

#[tokio::test]
async fn runs_of_a_key_at_the_same_time_see_what_each_other_uses() {
    let platform = Platform::configured("[runs]\nat_once = 4").await;
    let (id, limited) = of_a_second(&platform).await;
    assert_eq!(sent_at_once(&platform, &limited, &uses(200, 20)).await, [429; 4]);
    // Each has one that goes on when it is used up; a little more than its limit, since that is looked at now and then.
    let used = once_used(&platform, &id, 1_000_000).await;
    assert!(used < 3_000_000, "alone each would have used a second: {used} us");
}

#[tokio::test]
async fn what_was_taken_ahead_waits_for_the_next_day_and_was_not_tried() {
    let platform = Platform::configured("[runs]\nat_once = 1").await;
    let (id, limited) = of_a_second(&platform).await;
    // After quick ones many are taken ahead.
    let mut runs = vec![json!({ "language": "bash", "source": "true" }); 30];
    runs.extend(vec![uses(400, 1); 20]);
    let queued = with_key(&platform, &limited, Request::post("/v1/runs/batch").json(&json!(runs))).await.json();
    let ids: Vec<String> = serde_json::from_value(queued["ids"].clone()).unwrap();
    let rest = wait::until("the others wait", async || {
        let mut rest = Vec::new();
        for id in &ids[30..] {
            let run = get(&platform, id).await;
            match run["state"].as_str()? {
                "done" => {}
                "queued" if run["waits_for"].as_str()?.contains("used up") => rest.push(run),
                _ => return None,
            }
        }
        Some(rest)
    })
    .await;
    assert!(rest.len() >= 15, "{} of 20 wait", rest.len());
    assert!(rest.iter().all(|run| run["attempts"] == 0 && run["error"].is_null()), "{rest:#?}");
    assert!(used(&platform, &id).await < 3_000_000);
}

#[tokio::test]
async fn compiling_is_paid_whatever_comes_of_it_and_so_are_headers_that_are_read() {
    let platform = Platform::start().await;
    let (id, limited) =
        key(&platform, &json!({ "name": "a", "scopes": ["runs"], "quota": { "runs_per_day": 2 } })).await;
    let told = async |source: &str| {
        let request = json!({ "language": "c++", "source": source });
        let answer = with_key(&platform, &limited, Request::post("/run").json(&request)).await.json();
        let compiled = answer["compile"]["usage"]["cpu_us"].as_u64().unwrap();
        (compiled, compiled + answer["usage"]["cpu_us"].as_u64().unwrap())
    };
    let (compiled, all) = told("#include <iostream>\nint main() {}").await;
    let before = once_used(&platform, &id, all + compiled / 2).await;
    // The quick way has something to say, so the plain one has the word.
    let (compiled, all) = told("#include <iostream>\n#warning x\nint main() {}").await;
    // Without what the quick way took it would be this sum to the millisecond; with headers read before that is some third of the plain.
    once_used(&platform, &id, before + all + compiled / 10).await;
    // And a redrive is a run of the key.
    let refused = with_key(&platform, &limited, Request::post("/v1/runs/x-000000000zzzzzzz/redrive")).await;
    refused.is_error(429, "rate_limited");
}
