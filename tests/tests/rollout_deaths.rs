//! The platform dies before and after every durable step of what is done to an app that runs: deploys, a canary, blue/green with a
//! release command, scaling, a rollback. Its rows lie in a file or on a server. It is started again, and the app is what was acknowledged: one version, its instances, nothing else.
//!
//! `make test` tries a few steps, `make soak` every one; `SKYLIFT_STEP=N` repeats one.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how tests fail")]

#[path = "rollout_deaths/acts.rs"]
mod acts;
#[path = "rollout_deaths/clients.rs"]
mod clients;
#[path = "rollout_deaths/scenario.rs"]
mod scenario;
#[path = "rollout_deaths/server.rs"]
mod server;

use std::cell::Cell;

use scenario::{Ended, Scenario};
use skylift_peers::Postgres;
use skylift_tests::random::{Random, stride};
use skylift_tests::skip;

/// How many steps the scenario has when nobody dies, at the least: so that a counter that counts nothing is seen.
const STEPS_MIN: u64 = 80;
/// How far apart the steps are that the ordinary run tries: two of them on either side.
const STEPS_APART: u64 = 190;
/// A step with clients there and a rollout under way, for the control.
const IN_THE_MIDDLE: u64 = 160;

#[expect(clippy::print_stderr, reason = "the step repeats a failure")]
async fn dies_at(step: u64, side: &str, rows: Option<&Postgres>) -> (Ended, u64) {
    let point = format!("{step}:{side}");
    eprintln!("SKYLIFT_CRASH_AT={point}");
    let faults = [("SKYLIFT_CRASH_AT", point.as_str())];
    let mut scenario = match rows {
        Some(rows) => Scenario::on(rows, &faults).await,
        None => Scenario::with(&faults).await,
    };
    (scenario.run().await, scenario.answers)
}

/// Dies at every step there is on one side of it, or at a few where that takes too long.
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn dies_at_every_step(side: &str, rows: Option<&Postgres>) {
    if !skip::unless_node("rollouts in which the platform dies") {
        return;
    }
    if let Some(step) = std::env::var("SKYLIFT_STEP").ok().and_then(|step| step.parse().ok()) {
        dies_at(step, side, rows).await;
        return;
    }
    let (mut random, apart) = (Random::seeded(), stride(STEPS_APART, 1));
    let first = 1 + random.below(apart);
    let (next, end, deaths, answers) = (Cell::new(first), Cell::new(u64::MAX), Cell::new(0), Cell::new(0));
    let lane = async || {
        while next.get() < end.get() {
            let step = next.replace(next.get() + apart);
            let (ended, given) = dies_at(step, side, rows).await;
            answers.set(answers.get() + given);
            match ended {
                Ended::Died => deaths.set(deaths.get() + 1),
                Ended::Alive => end.set(end.get().min(step)),
            }
        }
    };
    match rows {
        None if apart > 1 => lane().await,
        // Most of the time is spent waiting for servers to start and drains to end.
        None => drop(tokio::join!(lane(), lane())),
        // And there for half a minute, until the leases of the dead have ended.
        Some(_) => drop(tokio::join!(lane(), lane(), lane(), lane())),
    }
    assert!(end.get() >= STEPS_MIN, "only {} steps were counted", end.get());
    eprintln!(
        "figure: {} deaths {side} a step of {}{}, {} answers to clients, none wrong",
        deaths.get(),
        end.get() - 1,
        if rows.is_some() { ", rows on a server" } else { "" },
        answers.get()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_before_any_step_of_a_rollout_leaves_one_version_and_nothing_else() {
    dies_at_every_step("before", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_after_any_step_of_a_rollout_leaves_one_version_and_nothing_else() {
    dies_at_every_step("after", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute for each death: `make soak`"]
async fn dying_before_any_step_of_a_rollout_with_rows_on_a_server_leaves_one_version_and_nothing_else() {
    on_a_server("before").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute for each death: `make soak`"]
async fn dying_after_any_step_of_a_rollout_with_rows_on_a_server_leaves_one_version_and_nothing_else() {
    on_a_server("after").await;
}

async fn on_a_server(side: &str) {
    if let Some(rows) = Postgres::start() {
        dies_at_every_step(side, Some(&rows)).await;
    }
}

/// Where rows go on saying that dead instances answer, clients are led there: or all of this has shown nothing.
#[tokio::test]
async fn control_without_an_end_of_dead_instances_clients_see_it() {
    if !skip::unless_node("rollouts in which the platform dies") {
        return;
    }
    let scenario = async {
        let point = format!("{IN_THE_MIDDLE}:after");
        let faults = [("SKYLIFT_CRASH_AT", point.as_str()), ("SKYLIFT_CRASH_WEAKEN", "no-last-rites")];
        Scenario::with(&faults).await.run().await
    };
    let tasks = tokio::task::LocalSet::new();
    let told = tasks.run_until(async { tokio::task::spawn_local(scenario).await }).await;
    assert!(told.is_err_and(|error| error.is_panic()), "nobody saw that dead instances were asked");
}
