//! The platform dies before and after every step that makes something durable, and loses power there.
//!
//! One scenario is told to a fresh platform that dies at its N-th fsync, rename or commit; it is started again and
//! the scenario goes on with what was not answered. `make test` tries a few N of each kind, `make soak` every one.

#[path = "crash_points/ledger.rs"]
mod ledger;
#[path = "crash_points/scenario.rs"]
mod scenario;

use ledger::Ledger;
use scenario::{Ended, Scenario};
use skylift_tests::random::{Random, stride};

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

/// How many of them are those of the start.
const STEPS_START: u64 = 16;

/// Dies at every step there is, or at a few where that takes too long.
#[expect(clippy::print_stderr, reason = "the seed and the ledger repeat a failure")]
async fn dies_at_every_step(death: Death) {
    let mut random = Random::seeded();
    let stride = stride(STEPS_MIN, 1);
    let mut step = 1 + random.below(stride);
    loop {
        eprintln!("SKYLIFT_CRASH_AT={}", death.at(step));
        let mut ledger = Ledger::default();
        let ended = Scenario::with(&[("SKYLIFT_CRASH_AT", &death.at(step))]).await.run(&mut ledger).await;
        if ended == Ended::Alive {
            break;
        }
        step += 1 + if stride > 1 { stride / 2 + random.below(stride) } else { 0 };
    }
    assert!(step >= STEPS_MIN, "only {step} steps were counted");
}

#[tokio::test]
async fn dying_before_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(BEFORE).await;
}

#[tokio::test]
async fn dying_after_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(AFTER).await;
}

#[tokio::test]
async fn losing_power_before_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(BEFORE_POWER).await;
}

#[tokio::test]
async fn losing_power_after_any_step_loses_nothing_that_was_acknowledged() {
    dies_at_every_step(AFTER_POWER).await;
}

/// Runs the scenario while steps fail; it must come to its end without being started again.
#[expect(clippy::print_stderr, reason = "the ledger repeats a failure")]
async fn comes_through(failure: &str, in_a_row: u64) {
    let mut random = Random::seeded();
    let stride = stride(STEPS_MIN, in_a_row);
    // The first steps are those of the start, which says what is wrong and ends.
    for from in (STEPS_START + random.below(stride)..3 * STEPS_MIN).step_by(usize::try_from(stride).unwrap()) {
        let fault = format!("{from}-{}:{failure}", from + in_a_row - 1);
        eprintln!("SKYLIFT_FAIL_AT={fault}");
        let mut ledger = Ledger::default();
        let ended = Scenario::with(&[("SKYLIFT_FAIL_AT", &fault)]).await.run(&mut ledger).await;
        assert_eq!(ended, Ended::Alive, "{fault}");
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

/// With the syncs taken away, the same power cut must lose something: or it has shown nothing so far.
#[tokio::test]
async fn control_without_syncs_a_power_cut_loses_what_was_acknowledged() {
    let scenario = async {
        let faults = [("SKYLIFT_CRASH_AT", &*BEFORE_POWER.at(STEPS_MIN)), ("SKYLIFT_CRASH_WEAKEN", "no-sync")];
        Scenario::with(&faults).await.run(&mut Ledger::default()).await
    };
    let tasks = tokio::task::LocalSet::new();
    let told = tasks.run_until(async { tokio::task::spawn_local(scenario).await }).await;
    assert!(told.is_err_and(|error| error.is_panic()), "nothing was lost without a single sync");
}
