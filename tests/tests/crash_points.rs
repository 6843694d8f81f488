//! The platform dies before and after every step that makes something durable, and loses power there.
//!
//! One scenario is told to a fresh platform that dies at its N-th fsync, rename or commit; it is started again and
//! the scenario goes on with what was not answered. `make test` tries a few N of each kind, `make soak` every one.

#[path = "crash_points/ledger.rs"]
mod ledger;
#[path = "crash_points/scenario.rs"]
mod scenario;

use std::cell::RefCell;

use ledger::Ledger;
use scenario::{Ended, Scenario};
use skylift_peers::Postgres;
use skylift_tests::census::Census;
use skylift_tests::random::{Random, stride};
use skylift_tests::{Platform, projects, skip};

/// How the platform dies at a step.
#[derive(Clone, Copy, Debug)]
struct Death {
    side: &'static str,
    power: &'static str,
}

const BEFORE: Death = Death { side: "before", power: "" };
const AFTER: Death = Death { side: "after", power: "" };
const BEFORE_POWER: Death = Death { side: "before", power: ":power" };
const AFTER_POWER: Death = Death { side: "after", power: ":power" };

impl Death {
    fn at(self, step: u64) -> String {
        format!("{step}:{}{}", self.side, self.power)
    }
}

/// How many steps the scenario has when nobody dies, at the least: so that a counter that counts nothing is seen.
const STEPS_MIN: u64 = 60;

/// The first of them after those of the start, each migration of the rows being two.
const STEPS_START: u64 = 19;

/// The one step to try, where one failed: `SKYLIFT_STEP=N`.
fn only_step() -> Option<u64> {
    std::env::var("SKYLIFT_STEP").ok().and_then(|step| step.parse().ok())
}

/// The steps to die at: every one there is, or a few where that takes too long.
struct Steps {
    random: Random,
    stride: u64,
    next: u64,
    /// The first at which nobody died: the scenario has no such step.
    end: u64,
}

impl Steps {
    fn new() -> Self {
        let (mut random, stride) = (Random::seeded(), stride(STEPS_MIN, 1));
        let next = 1 + random.below(stride);
        Self { random, stride, next, end: u64::MAX }
    }

    /// The next step, unless there is none any more.
    fn take(&mut self) -> Option<u64> {
        let step = self.next;
        self.next += 1;
        if self.stride > 1 {
            self.next += self.stride / 2 + self.random.below(self.stride);
        }
        (step < self.end).then_some(step)
    }
}

/// Dies at every step there is, or at a few where that takes too long.
async fn dies_at_every_step(death: Death, rows: Option<&Postgres>) {
    if let Some(step) = only_step() {
        dies_at(step, death, rows).await;
        return;
    }
    let steps = RefCell::new(Steps::new());
    let lane = async || {
        loop {
            let Some(step) = steps.borrow_mut().take() else { return };
            if dies_at(step, death, rows).await == Ended::Alive {
                let end = &mut steps.borrow_mut().end;
                *end = step.min(*end);
            }
        }
    };
    match rows {
        None => lane().await,
        // A successor there mostly waits, for half a minute, until the leases of the dead have ended.
        Some(_) => drop(tokio::join!(lane(), lane(), lane(), lane())),
    }
    let end = steps.into_inner().end;
    assert!(end >= STEPS_MIN, "only {end} steps were counted");
}

#[expect(clippy::print_stderr, reason = "the step and the ledger repeat a failure")]
async fn dies_at(step: u64, death: Death, rows: Option<&Postgres>) -> Ended {
    eprintln!("SKYLIFT_CRASH_AT={}", death.at(step));
    Scenario::with(&[("SKYLIFT_CRASH_AT", &death.at(step))], rows).await.run(&mut Ledger::default()).await
}

#[tokio::test]
async fn dying_before_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(BEFORE, None).await;
}

#[tokio::test]
async fn dying_after_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(AFTER, None).await;
}

#[tokio::test]
async fn losing_power_before_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(BEFORE_POWER, None).await;
}

#[tokio::test]
async fn losing_power_after_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(AFTER_POWER, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_before_any_step_with_rows_on_a_server_loses_nothing_that_was_acknowledged() {
    let Some(server) = Postgres::start() else { return };
    dies_at_every_step(BEFORE, Some(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_after_any_step_with_rows_on_a_server_loses_nothing_that_was_acknowledged() {
    let Some(server) = Postgres::start() else { return };
    dies_at_every_step(AFTER, Some(&server)).await;
}

/// The server has its own disk, which stays; this machine's blobs and names are what is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losing_power_at_any_step_with_rows_on_a_server_loses_nothing_that_was_acknowledged() {
    let Some(server) = Postgres::start() else { return };
    dies_at_every_step(AFTER_POWER, Some(&server)).await;
}

/// Runs the scenario while steps fail; it must come to its end without being started again.
#[expect(clippy::print_stderr, reason = "the ledger repeats a failure")]
async fn comes_through(failure: &str, in_a_row: u64) {
    let mut random = Random::seeded();
    let stride = stride(STEPS_MIN, in_a_row);
    // The first steps are those of the start, which says what is wrong and ends.
    let first = only_step().unwrap_or_else(|| STEPS_START + random.below(stride));
    for from in (first..3 * STEPS_MIN).step_by(usize::try_from(stride).unwrap()) {
        let fault = format!("{from}-{}:{failure}", from + in_a_row - 1);
        eprintln!("SKYLIFT_FAIL_AT={fault}");
        let mut ledger = Ledger::default();
        let ended = Scenario::with(&[("SKYLIFT_FAIL_AT", &fault)], None).await.run(&mut ledger).await;
        assert_eq!(ended, Ended::Alive, "{fault}; or does it start with more steps than STEPS_START?");
        if only_step().is_some() {
            return;
        }
    }
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_while_is_told_and_overcome() {
    comes_through("enospc", 8).await;
}

#[tokio::test]
async fn a_disk_that_fails_for_a_while_is_told_and_overcome() {
    comes_through("eio", 8).await;
}

#[tokio::test]
async fn a_disk_that_is_slow_for_a_while_delays_and_harms_nothing() {
    comes_through("slow", 8).await;
}

/// What the census is to find nothing of, it finds while it is there; and nothing is left of a platform that is killed
/// in the middle of a build, once its successor has stopped.
#[tokio::test]
async fn a_build_at_work_is_counted_and_nothing_is_left_of_it() {
    if !skip::unless_node("a_build_at_work_is_counted_and_nothing_is_left_of_it") {
        return;
    }
    let mut platform = Platform::start().await;
    let app = platform.app("counted").await;
    let endless = app.begin(&projects::endless("counted")).await;
    app.logs_line(&endless.id, "started").await;
    let counted = platform.census();
    assert!(counted.processes.len() > 1 && !counted.groups.is_empty(), "control: {counted:?}");
    platform.crash().await;
    platform.client().cancel(&endless.id).await.unwrap();
    assert!(platform.stop().await.success());
    Census::becomes_empty(|| platform.census()).await;
}

/// With the syncs taken away, the same power cut must lose something: or it has shown nothing so far.
#[tokio::test]
async fn control_without_syncs_a_power_cut_loses_what_was_acknowledged() {
    let scenario = async {
        let faults = [("SKYLIFT_CRASH_AT", &*BEFORE_POWER.at(STEPS_MIN)), ("SKYLIFT_CRASH_WEAKEN", "no-sync")];
        Scenario::with(&faults, None).await.run(&mut Ledger::default()).await
    };
    let tasks = tokio::task::LocalSet::new();
    let told = tasks.run_until(async { tokio::task::spawn_local(scenario).await }).await;
    assert!(told.is_err_and(|error| error.is_panic()), "nothing was lost without a single sync");
}
