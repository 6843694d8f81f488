//! Workers of runs apart from whoever answers, over the stores only.

use serde_json::json;
use skylift_tests::spread::OwnStores;
use skylift_tests::{Platform, Request, wait};

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
    let slow = queue(&platform, "import time; time.sleep(1); print('once')", &json!({})).await;
    once(&platform, &slow, "running").await;
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
