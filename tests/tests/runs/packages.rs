//! Packages by name: numpy as its registry has it, for keys that may see it and for no other.

use std::time::Duration;

use serde_json::{Value, json};
use skylift_tests::{Platform, Request, Response, skip, wait};

use crate::{key, with_key};

const SETS: &str = "[runs.packages.data]\nlanguage = \"python\"\npackages = [\"numpy\"]\n";

/// Draws of the state that all share, multiplies, and says whether it was loaded before.
const USES: &str = "
import sys, os
before = 'numpy' in sys.modules
import numpy
print(before, float((numpy.eye(50) @ numpy.ones(50)).sum()), os.environ['OPENBLAS_NUM_THREADS'], len(os.listdir('/proc/self/task')))
print(numpy.random.rand(), numpy.random.default_rng().random())";

fn uses() -> Value {
    json!({ "language": "python", "packages": "data", "source": USES })
}

async fn run(platform: &Platform, key: &str, request: &Value) -> Response {
    with_key(platform, key, Request::post("/run").json(request)).await
}

/// The one that waits until its set is built: packages are fetched, unpacked and compiled, on a machine that may be busy.
async fn first(platform: &Platform, key: &str) -> Value {
    let request = Request::post("/run").json(&uses()).host("localhost").token(key);
    request.try_send_within(Duration::from_secs(300), platform.address()).await.unwrap().json()
}

async fn sets(platform: &Platform, key: &str) -> Value {
    let languages = with_key(platform, key, Request::get("/v1/languages")).await.json();
    let python = languages["languages"].as_array().unwrap().iter().find(|one| one["name"] == "python").unwrap().clone();
    python["package_sets"].clone()
}

#[tokio::test]
async fn numpy_is_there_for_keys_that_may_see_it_loaded_already_and_chance_is_another_in_each() {
    if !skip::unless_python_packages(
        "numpy_is_there_for_keys_that_may_see_it_loaded_already_and_chance_is_another_in_each",
    ) {
        return;
    }
    let mut platform = Platform::configured(SETS).await;
    let (_, plain) = key(&platform, &json!({ "name": "plain", "scopes": ["runs"] })).await;
    let (_, both) = key(&platform, &json!({ "name": "both", "scopes": ["runs", "packages"] })).await;
    // The first of them waits until it is built.
    let first = first(&platform, &both).await;
    assert!(first["stdout"].as_str().is_some_and(|said| said.starts_with("False 50.0 1 1\n")), "{first:#}");
    let mut drawn: Vec<String> = Vec::new();
    wait::until("some are run with numpy loaded", async || {
        let answer = run(&platform, &both, &uses()).await.json();
        let (head, numbers) = answer["stdout"].as_str().unwrap().split_once('\n').unwrap();
        if answer["usage"]["start"] == "cold" {
            return None;
        }
        assert_eq!(head, "True 50.0 1 1", "{answer:#}");
        drawn.extend(numbers.split_whitespace().map(str::to_owned));
        (drawn.len() >= 8).then_some(())
    })
    .await;
    let count = drawn.len();
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), count, "{drawn:?}");

    let told = sets(&platform, &both).await;
    assert_eq!((&told[0]["name"], &told[0]["state"]), (&json!("data"), &json!("ready")), "{told}");
    assert_eq!(told[0]["packages"][0]["name"], "numpy", "{told}");
    let unknown = json!({ "language": "python", "packages": "other", "source": "" });
    let answer = run(&platform, &both, &unknown).await;
    answer.is_error(422, "invalid");
    assert!(answer.text().contains("there is data"), "{}", answer.text());
    run(&platform, &both, &json!({ "language": "bash", "packages": "data", "source": "" }))
        .await
        .is_error(422, "invalid");

    // Who was not granted it neither sees it, nor is told which there are.
    for request in [&uses(), &unknown] {
        run(&platform, &plain, request).await.is_error(403, "forbidden");
    }
    assert_eq!(sets(&platform, &plain).await, Value::Null);
    let import =
        json!({ "language": "python", "source": "import os; print(os.path.exists('/opt/packages'))\nimport numpy" });
    for key in [&plain, &both] {
        let answer = run(&platform, key, &import).await.json();
        assert_eq!((&answer["stdout"], &answer["status"]), (&json!("False\n"), &json!("exit_nonzero")), "{answer:#}");
    }

    // The control: where nobody asks what a key may, it is there for every one. It was built before, and is found again.
    platform.stop().await;
    platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-grant");
    platform.up().await;
    let answer = run(&platform, &plain, &uses()).await.json();
    assert_eq!(answer["status"], "ok", "{answer:#}");
}

#[tokio::test]
async fn an_ordinary_users_platform_builds_sets_as_well() {
    let test = "an_ordinary_users_platform_builds_sets_as_well";
    if !skip::unless_root(test) || !skip::unless_own_stores(test) || !skip::unless_python_packages(test) {
        return;
    }
    let platform = Platform::of_nobody(SETS).await;
    let answer = first(&platform, &platform.token()).await;
    assert!(answer["stdout"].as_str().is_some_and(|said| said.contains(" 50.0 1 1\n")), "{answer:#}");
}
