//! Negative controls: with a defence left out, a case of this suite fails.

use std::process::Command;

/// Whether a case holds with this left out.
fn holds_without(defence: &str, case: &str) -> bool {
    let mut itself = Command::new(std::env::current_exe().unwrap());
    let ran = itself.args(["--exact", case]).env("SKYLIFT_CRASH_WEAKEN", defence).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(said.contains("running 1 test"), "{said}");
    ran.status.success()
}

#[test]
fn without_turns_who_queues_much_holds_up_everybody() {
    let case = "sqlite::keys_take_turns_however_much_one_of_them_queues";
    assert!(holds_without("no-fence", case), "control: it holds with this left out, which it does not rest on");
    assert!(!holds_without("no-turns", case));
}

#[test]
fn without_a_note_what_was_never_begun_is_given_up() {
    assert!(!holds_without("no-begun", "sqlite::what_was_not_begun_when_its_worker_died_was_not_tried"));
}

#[test]
fn without_bounds_a_key_has_as_many_under_way_as_there_is_room_for() {
    assert!(!holds_without("no-key-bounds", "sqlite::a_key_has_as_many_runs_under_way_as_it_may_and_holds_up_nobody"));
    assert!(!holds_without("no-key-bounds", "sqlite::a_key_whose_day_is_used_up_rests_until_the_next"));
}
