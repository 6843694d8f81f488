//! The simulation without one of the platform's defences: it must be seen.

use std::process::Command;

use crate::op::history;
use crate::{Bench, shrink};

/// How many histories must be enough to see it.
const HISTORIES: u64 = 300;

/// Lets this very test happen again in a process of its own that leaves a defence out.
fn is_missed(defence: &str, seen_as: &[&str]) {
    let program = std::env::current_exe().unwrap();
    let test = "controls::histories_with_what_the_environment_leaves_out";
    let mut again = Command::new(program);
    again.args(["--exact", test, "--ignored", "--nocapture"]).env("SKYLIFT_CRASH_WEAKEN", defence);
    let ran = again.output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(!ran.status.success(), "nobody misses what {defence} leaves out: {told}");
    assert!(told.contains("a history breaks") && seen_as.iter().any(|seen| told.contains(seen)), "{told}");
}

#[test]
#[ignore = "the controls let it happen"]
fn histories_with_what_the_environment_leaves_out() {
    let bench = Bench::new();
    for seed in 0..HISTORIES {
        let ops = history(seed);
        if bench.on_a_file(&ops).is_err() {
            let short = shrink::shrink(ops, |ops| bench.on_a_file(ops).is_err());
            let why = bench.on_a_file(&short).err().unwrap();
            panic!("a history breaks: {why}\n{}", shrink::as_rust(&short));
        }
    }
}

#[test]
fn control_without_the_comparison_of_fences_a_late_worker_is_seen() {
    is_missed(
        "no-fence",
        &["begun: Some", "finished: Some", "renewed: Some", "failed: Some", "given up: Some", "the jobs are "],
    );
}

#[test]
fn control_without_lanes_two_builds_of_one_app_at_once_are_seen() {
    is_missed("no-lane", &["leased "]);
}

#[test]
fn control_with_jobs_left_of_what_was_cancelled_they_are_seen() {
    is_missed("no-withdraw", &["the jobs are "]);
}

#[test]
fn control_with_a_generation_that_does_not_move_it_is_seen() {
    is_missed("no-generation", &["generation"]);
}

#[test]
fn control_with_nobody_to_end_what_was_given_up_it_is_seen_to_be_stuck() {
    is_missed("no-bury", &["nobody works", "is (Building", "is (Queued", "is (Deploying"]);
}

#[test]
fn control_without_a_second_look_a_blob_that_is_named_is_seen_to_be_gone() {
    is_missed("no-look", &["gone"]);
}
