//! Negative controls: with a defence left out, a case of this suite fails.

use std::process::Command;

use crate::bench::Bench;

/// Whether a case holds with this left out.
fn holds_without(defence: &str, case: &str) -> bool {
    let mut itself = Command::new(std::env::current_exe().unwrap());
    let ran = itself.args(["--exact", case]).env("SKYLIFT_CRASH_WEAKEN", defence).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(said.contains("running 1 test"), "{said}");
    ran.status.success()
}

#[test]
fn without_the_fence_whoever_lost_its_lease_commits_all_the_same() {
    assert!(!holds_without("no-fence", "sqlite::a_lease_that_runs_out_leads_to_another_and_the_first_commits_nothing"));
}

#[tokio::test]
async fn nor_does_redis_beside_the_rows_take_the_place_of_the_fence() {
    if Bench::redis().await.is_some() {
        let case = "redis::a_lease_that_runs_out_leads_to_another_and_the_first_commits_nothing";
        assert!(!holds_without("no-fence", case));
    }
}

#[tokio::test]
async fn without_turns_who_queues_much_holds_up_everybody_whatever_the_queue_is() {
    assert!(!holds_without("no-turns", "sqlite::who_queues_much_holds_up_nobody_else"));
    if Bench::redis().await.is_some() {
        assert!(!holds_without("no-turns", "redis::who_queues_much_holds_up_nobody_else"));
    }
}

#[test]
fn without_a_note_what_was_only_taken_ahead_counts_as_tried() {
    assert!(!holds_without("no-begun", "sqlite::what_a_worker_that_dies_had_only_taken_ahead_was_not_tried"));
}

#[test]
fn without_bounds_a_key_has_as_many_under_way_as_there_are_places() {
    assert!(!holds_without("no-key-bounds", "sqlite::a_key_has_as_many_under_way_as_it_may_whoever_runs_them"));
}
