//! The trial of version 2, which replaced version 1 at second 100.

use skylift_model::Timestamp;
use skylift_model::rollout::{RolloutState, Strategy};
use skylift_store::{Crash, InstanceRow};

use super::*;
use crate::in_memory::{at, deployment, fleet, instance};

fn rollout() -> RolloutRow {
    RolloutRow {
        deployment: deployment(2),
        app: "shop".parse().unwrap(),
        old: Some(deployment(1)),
        strategy: Strategy::Rolling,
        state: RolloutState::Live,
        step: 0,
        share: 0,
        step_at: None,
        began_at: at(90),
        ended_at: Some(at(100)),
        reason: None,
    }
}

fn crash(number: i64, seconds: i64) -> Crash {
    Crash { deployment: deployment(number), at: at(seconds), reason: "exited with code 3".to_owned() }
}

fn with_crashes(wanted: u32, crashes: &[Crash]) -> Fleet {
    Fleet { crashes: crashes.to_vec(), ..fleet(Some(2), None, wanted) }
}

fn answers(answered: u64, failed: u64) -> Answers {
    Answers { answered, failed, ..Answers::default() }
}

fn judged(fleet: &Fleet, new: Answers, old: Answers, seconds: i64) -> Trial {
    judge(fleet, &rollout(), (&new, &old), at(seconds))
}

fn none() -> Answers {
    Answers::default()
}

const UNTIL: Trial = Trial::Until(Timestamp::from_millis(130_000));

#[test]
fn what_ends_by_itself_again_is_taken_back_and_one_end_may_be_anything() {
    assert_eq!(judged(&with_crashes(1, &[crash(2, 105)]), none(), none(), 106), UNTIL);
    assert_eq!(
        judged(&with_crashes(1, &[crash(2, 111), crash(2, 105)]), none(), none(), 111),
        Trial::Failed(
            "taken back 11 s after it had gone live: 2 of its instances ended by themselves, the last so: exited with code 3"
                .to_owned()
        )
    );
    let two = [crash(2, 106), crash(2, 105)];
    assert_eq!(judged(&with_crashes(3, &two), none(), none(), 107), UNTIL, "two of three");
    let three = [crash(2, 107), crash(2, 106), crash(2, 105)];
    assert!(matches!(judged(&with_crashes(3, &three), none(), none(), 107), Trial::Failed(_)));
}

#[test]
fn where_the_version_before_ended_just_the_same_it_is_something_else() {
    let both = [crash(2, 111), crash(2, 105), crash(1, 80), crash(1, 70)];
    assert_eq!(judged(&with_crashes(1, &both), none(), none(), 111), UNTIL);
}

#[test]
fn what_fails_clearly_more_than_before_is_taken_back_and_nothing_is_concluded_without_a_before() {
    let fleet = with_crashes(2, &[]);
    let told = judged(&fleet, answers(50, 40), answers(1000, 1), 110);
    let Trial::Failed(told) = told else { panic!("{told:?}") };
    assert_eq!(told, "taken back 10 s after it had gone live: 80.0 % of 50 answers failed, 0.1 % of the old version's");
    assert_eq!(judged(&fleet, answers(50, 40), answers(1000, 800), 110), UNTIL, "as much as before");
    assert_eq!(judged(&fleet, answers(50, 40), none(), 110), UNTIL, "nobody asked before");
    assert_eq!(judged(&fleet, answers(5, 5), answers(1000, 0), 110), UNTIL, "a handful");
    let off = RolloutSettings { auto_abort: false, ..RolloutSettings::default() };
    let canary = Fleet { settings: off, ..fleet };
    assert_eq!(judged(&canary, answers(50, 40), answers(1000, 1), 110), UNTIL, "its owner does not want that");
}

#[test]
fn what_hangs_is_slow() {
    let (mut new, mut old) = (answers(40, 0), answers(1000, 0));
    // From 8 to 16 s, and below 4 ms.
    (new.took[14], old.took[2]) = (40, 1000);
    let told = judged(&with_crashes(1, &[]), new, old, 115);
    assert!(matches!(&told, Trial::Failed(why) if why.contains("100.0 % of 40 answers took longer")), "{told:?}");
}

#[test]
fn where_all_fail_their_checks_it_is_taken_back() {
    let row = |number, is_unhealthy: bool| InstanceRow {
        unhealthy_since: is_unhealthy.then(|| at(110)),
        ..instance(number, &deployment(2), InstanceState::Ready)
    };
    let with = |instances| Fleet { instances, ..with_crashes(2, &[]) };
    assert_eq!(judged(&with(vec![row(101, true), row(102, false)]), none(), none(), 115), UNTIL);
    let told = judged(&with(vec![row(101, true), row(102, true)]), none(), none(), 115);
    assert!(matches!(&told, Trial::Failed(why) if why.contains("all of its instances fail")), "{told:?}");
}

#[test]
fn a_trial_ends_with_its_time_and_at_0_there_is_none() {
    let crashes = [crash(2, 129), crash(2, 120)];
    assert_eq!(judged(&with_crashes(1, &crashes), none(), none(), 130), Trial::None);
    let mut off = with_crashes(1, &crashes);
    off.settings.trial_seconds = 0;
    assert_eq!(judged(&off, none(), none(), 121), Trial::None);
}
