//! kill -9 of everything that runs have to do with, while they are under way.

use serde_json::{Value, json};
use skylift_tests::random::{Random, rounds};
use skylift_tests::{Platform, Request, wait};

use crate::child;
use crate::queued::{get, once};

/// How many runs are sent at once.
const BATCH: u64 = 50;

/// Kills the nursery, from which sandboxes are forked, or the loaded interpreter; false where there is none.
pub(crate) async fn kill_what_waits(platform: &Platform, with_nursery: bool) -> bool {
    let Some(nursery) = child(platform.pid(), "nursery") else { return false };
    let victim = if with_nursery { Some(nursery) } else { child(nursery, "/usr/bin/python3") };
    let Some(victim) = victim else { return false };
    crate::kill(victim).await;
    true
}

/// A run that has gone well. One that has lost its worker, or what it was forked from, as often as is tried is given up, says so, and is asked for again: of thousands of
/// kills, three are soon in a row.
async fn done(platform: &Platform, id: &str, given_up: &mut u64) -> Value {
    loop {
        let run = wait::until("an end", async || {
            let run = get(platform, id).await;
            ["done", "dead"].contains(&run["state"].as_str()?).then_some(run)
        })
        .await;
        if run["state"] == "done" {
            return run;
        }
        assert_eq!(run["attempts"], 3, "{run}");
        let error = run["error"].as_str().unwrap();
        assert!(["stopped answering", "was killed", "make a sandbox"].iter().any(|why| error.contains(why)), "{run}");
        let again = platform.api(Request::post(&format!("/v1/runs/{id}/redrive"))).await;
        assert_eq!(again.status, 202, "{}", again.text());
        *given_up += 1;
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn nothing_acknowledged_is_lost_nor_done_twice_whatever_is_killed() {
    let mut platform = Platform::start().await;
    let (mut random, mut ids, mut kills, mut given_up) = (Random::seeded(), Vec::new(), [0_u64; 3], 0);
    let rounds = rounds(4, 2000);
    for round in 0..rounds {
        let one = |number: u64| {
            let source = format!("import time; time.sleep(0.01); print({})", round * BATCH + number);
            json!({ "language": "python", "source": source })
        };
        let batch = json!({ "runs": (0..BATCH).map(one).collect::<Vec<Value>>() });
        let keyed = || Request::post("/v1/runs/batch").header("idempotency-key", &format!("r{round}")).json(&batch);
        let taken = platform.api(keyed()).await;
        assert_eq!(taken.status, 202, "{}", taken.text());
        let taken = taken.json()["ids"].clone();
        let victim = random.below(3);
        match victim {
            0 => platform.crash().await,
            with_nursery => {
                kill_what_waits(&platform, with_nursery == 1).await;
            }
        }
        kills[usize::try_from(victim).unwrap()] += 1;
        // Whoever did not hear the answer sends it again: it is the same batch.
        assert_eq!(platform.api(keyed()).await.json()["ids"], taken);
        ids.extend(taken.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
        if round % 10 == 9 {
            done(&platform, ids.last().unwrap(), &mut given_up).await;
        }
    }
    let mut again = 0;
    for (number, id) in ids.iter().enumerate() {
        let run = done(&platform, id, &mut given_up).await;
        assert_eq!((&run["status"], &run["stdout"]), (&json!("ok"), &json!(format!("{number}\n"))), "{run}");
        again += run["attempts"].as_u64().unwrap() - 1;
    }
    let mut listed = 0;
    let mut before = String::new();
    loop {
        let page = platform.api(Request::get(&format!("/v1/runs?limit=500{before}"))).await.json();
        let Some(last) = page["runs"].as_array().unwrap().last() else { break };
        listed += page["runs"].as_array().unwrap().len();
        before = format!("&before={}", last["id"].as_str().unwrap());
    }
    assert_eq!(listed, ids.len(), "one key is one batch");
    let [platforms, nurseries, interpreters] = kills;
    eprintln!(
        "figure: {} runs; killed: the platform {platforms} times, the nursery {nurseries}, the interpreter {interpreters}; {again} attempts more, {given_up} given up and asked for again",
        ids.len()
    );
}

#[tokio::test]
async fn a_run_is_begun_anew_where_what_it_was_forked_from_is_killed() {
    let platform = Platform::start().await;
    let slow = |source: &str| json!({ "language": "python", "source": source, "mode": "async" });
    for (source, outputs) in [
        ("import time; time.sleep(1); print('whole')", json!([])),
        ("import time; time.sleep(1); print('whole')", json!(["*"])),
    ] {
        for with_nursery in [false, true] {
            wait::until("something that waits", async || {
                let warm = crate::run(&platform, &json!({ "language": "python", "source": "" })).await.json();
                (warm["usage"]["start"] == "pool").then_some(())
            })
            .await;
            let mut request = slow(source);
            request["outputs"] = outputs.clone();
            let queued = platform.api(Request::post("/v1/runs").json(&request)).await.json();
            let id = queued["id"].as_str().unwrap();
            once(&platform, id, "running").await;
            assert!(kill_what_waits(&platform, with_nursery).await);
            let run = once(&platform, id, "done").await;
            assert_eq!((&run["status"], &run["stdout"]), (&json!("ok"), &json!("whole\n")), "{run}");
        }
    }
    // What kills itself is told so.
    let own = json!({ "language": "python", "source": "import os; os.kill(os.getpid(), 9)" });
    let run = crate::run(&platform, &own).await.json();
    assert_eq!((&run["status"], &run["signal"]), (&json!("signal"), &json!(9)), "{run}");
}
