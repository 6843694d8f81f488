//! Each process is killed at random while it has work.

use std::time::Duration;

use skylift_tests::census::Census;
use skylift_tests::probe::Probe;
use skylift_tests::random::{Random, rounds};
use skylift_tests::spread::OwnStores;
use skylift_tests::{Platform, Request, site, skip, wait};

use crate::ledger::{KEEPS_ALL, Ledger};

/// With the answer before the commit, the same kills must lose something: or they have shown nothing so far.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_an_api_that_answers_before_it_commits_loses_what_was_acknowledged() {
    let test = "control_an_api_that_answers_before_it_commits_loses_what_was_acknowledged";
    let Some(stores) = OwnStores::start(test).await else { return };
    let mut random = Random::seeded();
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.up().await;
    platform.app("busy").await;
    platform.kill_role("api").await;
    platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-commit");
    platform.up().await;
    let mut ledger = Ledger::new("busy");
    for _ in 0..20 {
        let moment = tokio::time::sleep(Duration::from_millis(200 + random.below(300)));
        let send = async {
            loop {
                ledger.send(&platform).await;
            }
        };
        tokio::select! {
            () = send => {}
            () = moment => {}
        }
        platform.kill_role("api").await;
        platform.up().await;
        if !ledger.lost(&platform).await.is_empty() {
            return;
        }
    }
    panic!("nothing was lost");
}

/// Kills an edge and starts it again, while nothing that it needs is there; then its stores are back.
async fn comes_back_alone(platform: &mut Platform) -> String {
    platform.spread.as_ref().unwrap().edge.cut();
    platform.kill_role("edge").await;
    platform.up().await;
    let served = platform.existing("steady").get("/").await.brief();
    platform.spread.as_ref().unwrap().edge.mend();
    served
}

/// Without its last good routes an edge that is killed must let visitors down where the kills of others do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_an_edge_that_keeps_no_routes_serves_nothing_after_a_kill() {
    let test = "control_an_edge_that_keeps_no_routes_serves_nothing_after_a_kill";
    let Some(stores) = OwnStores::start(test).await else { return };
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-last-good");
    platform.up().await;
    platform.app("steady").await.deploy(&site("steady")).await;
    assert_eq!(platform.existing("steady").get("/").await.brief(), "200 steady", "before any kill");
    assert_ne!(comes_back_alone(&mut platform).await, "200 steady");
}

/// Without leases that end, what a killed builder had in hand must stay undone: or its kills have shown nothing so far.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "waits a minute for what never comes; the soak runs it"]
async fn control_a_builder_whose_leases_never_end_leaves_undone_what_was_acknowledged() {
    let test = "control_a_builder_whose_leases_never_end_leaves_undone_what_was_acknowledged";
    let Some(stores) = OwnStores::start(test).await else { return };
    let mut random = Random::seeded();
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-take-back");
    platform.up().await;
    platform.app("busy").await;
    let mut ledger = Ledger::new("busy");
    for _ in 0..10 {
        send_until_killed(&mut platform, &mut ledger, "build", 300, &mut random).await;
        platform.up().await;
    }
    // With leases that end, all of it is done after half of this.
    let done = tokio::time::timeout(wait::PATIENCE, ledger.holds(&platform)).await;
    assert!(done.is_err(), "everything was done all the same");
    let jobs = platform.api(Request::get("/v1/jobs?state=leased")).await.json();
    assert!(jobs["jobs"].as_array().is_some_and(|held| !held.is_empty()), "held by somebody who is dead: {jobs}");
}

/// Sends pages until a process is killed, at a random moment within so many milliseconds.
async fn send_until_killed(
    platform: &mut Platform,
    ledger: &mut Ledger,
    role: &str,
    within_ms: u64,
    random: &mut Random,
) {
    // The moment of the kill is the fault that is tried; nothing waits for it.
    let moment = tokio::time::sleep(Duration::from_millis(random.below(within_ms)));
    let send = async {
        loop {
            ledger.send(platform).await;
        }
    };
    tokio::select! {
        () = send => {}
        () = moment => {}
    }
    platform.kill_role(role).await;
}

async fn kill_at_random(test: &str, role: &str) {
    let Some(stores) = OwnStores::start(test).await else { return };
    let mut random = Random::seeded();
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.up().await;
    platform.app("steady").await.deploy(&site("steady")).await;
    platform.app("busy").await;
    // The one edge cannot answer while it is dead.
    let probe = (role != "edge").then(|| Probe::start(platform.address(), "steady.localhost", "steady"));
    let builds = role == "build" && skip::unless_node("kills of a builder with sandboxes in hand");
    let mut ledger = if builds { Ledger::with_builds("busy") } else { Ledger::new("busy") };
    for round in 0..rounds(10, 200) {
        send_until_killed(&mut platform, &mut ledger, role, 300, &mut random).await;
        platform.up().await;
        assert_eq!(platform.existing("steady").get("/").await.brief(), "200 steady");
        if role == "edge" && round % 5 == 0 {
            assert_eq!(comes_back_alone(&mut platform).await, "200 steady", "with nothing that it needs");
        }
    }
    ledger.holds(&platform).await;
    platform.existing("busy").deploy(&site("goes on")).await;
    assert_eq!(platform.existing("busy").get("/").await.brief(), "200 goes on");
    if let Some(probe) = probe {
        probe.was_never_let_down();
    }
    platform.stop().await;
    Census::becomes_empty(|| platform.census()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_killed_at_random_loses_nothing() {
    kill_at_random("an_edge_killed_at_random_loses_nothing", "edge").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_killed_at_random_loses_nothing_and_no_visitor_notices() {
    kill_at_random("an_api_killed_at_random_loses_nothing_and_no_visitor_notices", "api").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_builder_killed_at_random_loses_nothing_and_no_visitor_notices() {
    kill_at_random("a_builder_killed_at_random_loses_nothing_and_no_visitor_notices", "build").await;
}
