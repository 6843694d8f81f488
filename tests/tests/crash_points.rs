//! The platform dies before and after every step that makes something durable, and loses power there.
//!
//! One scenario is told to a fresh platform that dies at its N-th fsync, rename or commit; it is started again and
//! the scenario goes on with what was not answered. `make test` tries a few N of each kind, `make soak` every one.

#[path = "crash_points/acts.rs"]
mod acts;
#[path = "crash_points/figure.rs"]
mod figure;
#[path = "crash_points/ledger.rs"]
mod ledger;
#[path = "crash_points/scenario.rs"]
mod scenario;
#[path = "crash_points/source.rs"]
mod source;
#[path = "crash_points/stores.rs"]
mod stores;

use std::cell::RefCell;

use ledger::Ledger;
use scenario::{Ended, Scenario};
use skylift_peers::{FakeS3, Postgres};
use skylift_tests::census::Census;
use skylift_tests::random::{Random, stride};
use skylift_tests::{Platform, projects, skip};
use stores::Stores;

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

/// How far apart the steps are that the ordinary run tries.
const STEPS_APART: u64 = 90;

/// How many files, folders, links and pieces the scenario writes, at the least, and how far apart the ordinary run tries.
const WRITES_MIN: u64 = 60;
const WRITES_APART: u64 = 90;

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
        let (mut random, stride) = (Random::seeded(), stride(STEPS_APART, 1));
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
async fn dies_at_every_step(death: Death, stores: Stores<'_>) {
    if let Some(step) = only_step() {
        dies_at(step, death, stores).await;
        return;
    }
    if stores.blobs.is_some() && stores.are_sampled() {
        let step = 1 + Random::seeded().below(STEPS_MIN / 2);
        assert_eq!(dies_at(step, death, stores).await, Ended::Died);
        return;
    }
    let steps = RefCell::new(Steps::new());
    let lane = async || {
        loop {
            let Some(step) = steps.borrow_mut().take() else { return };
            if dies_at(step, death, stores).await == Ended::Alive {
                let end = &mut steps.borrow_mut().end;
                *end = step.min(*end);
            }
        }
    };
    match stores.rows {
        None => lane().await,
        // A successor there mostly waits, for half a minute, until the leases of the dead have ended.
        Some(_) => drop(tokio::join!(lane(), lane(), lane(), lane())),
    }
    let end = steps.into_inner().end;
    assert!(end >= if stores.blobs.is_some() { STEPS_MIN / 2 } else { STEPS_MIN }, "only {end} steps were counted");
    figure::print(&format!("death {}{}, {stores}", death.side, death.power));
}

#[expect(clippy::print_stderr, reason = "the step and the ledger repeat a failure")]
async fn dies_at(step: u64, death: Death, stores: Stores<'_>) -> Ended {
    eprintln!("SKYLIFT_CRASH_AT={}", death.at(step));
    Scenario::with(&[("SKYLIFT_CRASH_AT", &death.at(step))], stores).await.run(&mut Ledger::default()).await
}

#[tokio::test]
async fn dying_before_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(BEFORE, Stores::default()).await;
}

#[tokio::test]
async fn dying_after_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(AFTER, Stores::default()).await;
}

#[tokio::test]
async fn losing_power_before_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(BEFORE_POWER, Stores::default()).await;
}

#[tokio::test]
async fn losing_power_after_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(AFTER_POWER, Stores::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_before_any_step_with_rows_on_a_server_loses_nothing_that_was_acknowledged() {
    let Some(server) = Postgres::start() else { return };
    dies_at_every_step(BEFORE, Stores::with_rows_on(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_after_any_step_with_rows_on_a_server_loses_nothing_that_was_acknowledged() {
    let Some(server) = Postgres::start() else { return };
    dies_at_every_step(AFTER, Stores::with_rows_on(&server)).await;
}

/// The server has its own disk, which stays; this machine's blobs and names are what is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losing_power_at_any_step_with_rows_on_a_server_loses_nothing_that_was_acknowledged() {
    let Some(server) = Postgres::start() else { return };
    dies_at_every_step(AFTER_POWER, Stores::with_rows_on(&server)).await;
}

/// What is stored there was named by one request; this machine keeps rows, lists and what is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_after_any_step_with_blobs_on_an_object_store_loses_nothing_that_was_acknowledged() {
    let blobs = FakeS3::start().await;
    dies_at_every_step(AFTER, Stores { rows: None, blobs: Some(&blobs) }).await;
}

/// What fails in place of dying: so many in a row.
#[derive(Clone, Copy, Debug)]
struct Failing {
    variable: &'static str,
    failure: &'static str,
    in_a_row: u64,
    /// How many there are when nothing fails, at the least.
    min: u64,
    /// How far apart those are that the ordinary run tries.
    apart: u64,
}

const fn steps_that_are(failure: &'static str) -> Failing {
    Failing { variable: "SKYLIFT_FAIL_AT", failure, in_a_row: 8, min: STEPS_MIN, apart: STEPS_APART }
}

/// Files, folders, links and bytes that are written.
const fn writes_that_are(failure: &'static str) -> Failing {
    Failing { variable: "SKYLIFT_FAIL_WRITE_AT", failure, in_a_row: 6, min: WRITES_MIN, apart: WRITES_APART }
}

/// Runs the scenario while some of its steps fail, then later ones, until there are none so late. It must come to its end
/// without being started again.
#[expect(clippy::print_stderr, reason = "the ledger repeats a failure")]
async fn comes_through(failing: Failing, stores: Stores<'_>) {
    let Failing { variable, failure, in_a_row, min, apart } = failing;
    let mut random = Random::seeded();
    let stride = stride(apart, in_a_row);
    let mut first = only_step().unwrap_or_else(|| 1 + random.below(if stores.are_sampled() { min } else { stride }));
    loop {
        let fault = format!("{first}-{}:{failure}", first + in_a_row - 1);
        eprintln!("{variable}={fault}");
        let ended = Scenario::with(&[(variable, &fault)], stores).await.run(&mut Ledger::default()).await;
        assert!(ended != Ended::Died, "{fault}");
        if only_step().is_some() {
            return;
        }
        if ended == Ended::Alive {
            break;
        }
        if stores.are_sampled() {
            return;
        }
        first += stride;
    }
    assert!(first >= min, "only {first} were counted");
    figure::print(&format!("{variable} {failure}, {stores}"));
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_while_is_told_and_overcome() {
    comes_through(steps_that_are("enospc"), Stores::default()).await;
}

#[tokio::test]
async fn a_disk_that_fails_for_a_while_is_told_and_overcome() {
    comes_through(steps_that_are("eio"), Stores::default()).await;
}

#[tokio::test]
async fn a_disk_that_is_slow_for_a_while_delays_and_harms_nothing() {
    comes_through(steps_that_are("slow"), Stores::default()).await;
}

#[tokio::test]
async fn a_disk_that_takes_no_more_bytes_or_files_for_a_while_is_told_and_overcome() {
    comes_through(writes_that_are("enospc"), Stores::default()).await;
}

#[tokio::test]
#[ignore = "is told as a full disk is; the soak runs it"]
async fn a_quota_that_is_used_up_for_a_while_is_told_and_overcome() {
    comes_through(writes_that_are("edquot"), Stores::default()).await;
}

#[tokio::test]
async fn a_disk_that_fails_to_write_for_a_while_is_told_and_overcome() {
    comes_through(writes_that_are("eio"), Stores::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "most of it fails in a data folder with rows, too; `make distributed` and the soak run it"]
async fn a_full_disk_with_rows_on_a_server_is_told_and_overcome() {
    let Some(server) = Postgres::start() else { return };
    comes_through(writes_that_are("enospc"), Stores::with_rows_on(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "most of it fails in a data folder with rows, too; `make distributed` and the soak run it"]
async fn a_failing_disk_with_rows_on_a_server_is_told_and_overcome() {
    let Some(server) = Postgres::start() else { return };
    comes_through(steps_that_are("eio"), Stores::with_rows_on(&server)).await;
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
        Scenario::with(&faults, Stores::default()).await.run(&mut Ledger::default()).await
    };
    let tasks = tokio::task::LocalSet::new();
    let told = tasks.run_until(async { tokio::task::spawn_local(scenario).await }).await;
    assert!(told.is_err_and(|error| error.is_panic()), "nothing was lost without a single sync");
}
