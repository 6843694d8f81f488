//! Workers of runs apart from whoever answers, over the stores only.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use skylift_tests::socket::Socket;
use skylift_tests::spread::OwnStores;
use skylift_tests::{Platform, Request, wait};

use crate::connected::printed;
use crate::queued::{once, queue};
use crate::run;

#[tokio::test]
async fn runs_are_done_by_workers_elsewhere_and_once_where_one_vanishes() {
    let Some(stores) = OwnStores::start("runs_are_done_by_workers_elsewhere_and_once_where_one_vanishes").await else {
        return;
    };
    let mut platform = Platform::spread(&stores.shared(), "");
    platform.up().await;
    let request = json!({ "language": "python", "source": "print(input())", "stdin": "there" });
    run(&platform, &request).await.is_error(503, "unavailable");
    let key = platform.data().join("master-key");
    let worker = || Platform::prepared_roles("work", stores.postgres.url(), &stores.settings(), &key);
    let workers = async || platform.api(Request::get("/v1/workers")).await.json()["workers"].clone();
    let mut first = worker();
    first.up().await;
    let answer = wait::until("a worker's languages", async || {
        let answer = run(&platform, &request).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!((&answer["stdout"], &answer["status"]), (&json!("there\n"), &json!("ok")));
    // Until a moment far enough away to be cut short however busy the machine is, and near when its worker is known to be lost.
    let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 12;
    let source = format!("import time; time.sleep(max(0, {until} - time.time())); print('once')");
    let slow = queue(&platform, &source, &json!({ "limits": { "wall_ms": 20_000 } })).await;
    wait::until("it is known to have begun", async || {
        let begun = format!("SELECT count(*) FROM runs WHERE id = '{slow}' AND begun = fence");
        (stores.postgres.by_hand(&begun).trim() == "1").then_some(())
    })
    .await;
    first.kill().await;
    let mut second = worker();
    second.up().await;
    let done = once(&platform, &slow, "done").await;
    assert_eq!((&done["stdout"], &done["attempts"]), (&json!("once\n"), &json!(2)));
    wait::until("the first is lost, the second there", async || {
        let states: Vec<_> = workers().await.as_array().unwrap().iter().map(|one| one["state"].clone()).collect();
        (states.len() == 2 && states.contains(&json!("ok")) && states.contains(&json!("lost"))).then_some(())
    })
    .await;
    // One that is told to stop gives back what it has, which counts for nothing.
    let slow = queue(&platform, "import time; time.sleep(8); print('there')", &json!({})).await;
    once(&platform, &slow, "running").await;
    second.stop().await;
    assert_eq!(workers().await.as_array().unwrap().len(), 1, "who leaves says so");
    let mut third = worker();
    third.up().await;
    let done = once(&platform, &slow, "done").await;
    assert_eq!((&done["stdout"], &done["attempts"]), (&json!("there\n"), &json!(1)));
}

#[tokio::test]
async fn a_run_is_talked_to_over_an_edge_apart_from_its_api() {
    let Some(stores) = OwnStores::start("a_run_is_talked_to_over_an_edge_apart_from_its_api").await else { return };
    let platform = Platform::start().await;
    let settings = format!("{}\n[edge]\napi = \"{}\"\n", stores.settings(), platform.address());
    let key = platform.data().join("master-key");
    let mut edge = Platform::prepared_roles("edge", stores.postgres.url(), &settings, &key);
    edge.up().await;
    let token = platform.token();
    let open = |token| Socket::open(edge.address(), "localhost", "/v1/runs/connect", token);
    assert_eq!(open(&[]).await.err().map(|(status, _)| status), Some(401));
    let mut socket = open(&[("x-api-key", token.as_str())]).await.unwrap_or_else(|got| panic!("{got:?}"));
    socket.say(&json!({ "language": "python", "source": "print(input())" })).await;
    assert_eq!(socket.hear().await["event"], "running");
    socket.say(&json!({ "stdin": "there\n" })).await;
    let (told, close) = socket.rest().await;
    assert_eq!((printed(&told).as_str(), close.map(|(code, _)| code)), ("there\n", Some(1000)), "{told:?}");
    let off = edge.send(Request::get("/api/v2/runtimes").host("piston.localhost")).await;
    assert_eq!((off.status, off.text().contains("key_file")), (403, true), "{}", off.brief());
}
