//! What an update keeps and what it ends.

use skylift_balance::{Announced, Outcome, State, Target};

use super::scene::{MILLISECOND, Scene, announced, id, target};

#[test]
fn counts_of_targets_that_stay_go_on() {
    let mut scene = Scene::of(2);
    let held = scene.pick_there(0);
    scene.answer(0, MILLISECOND * 40, Outcome::Answered { status: 500 });
    scene.answer(1, MILLISECOND, Outcome::Refused);
    assert_eq!(scene.states()[1], State::Ejected);
    let heavier = Target { weight: 5, ..target(0) };
    let closed = scene.group.update(vec![target(1), heavier, target(2)], None, scene.now);
    assert!(closed.is_empty());
    let status = scene.group.status(scene.now);
    assert_eq!((status[1].in_flight, status[1].answered, status[1].errors, status[1].target.weight), (1, 1, 1, 5));
    assert_eq!(status[1].latency, Some(MILLISECOND * 40));
    assert_eq!((status[0].state, status[2].in_flight), (State::Ejected, 0));
    drop(held);
    assert_eq!(scene.in_flight(), [0, 0, 0]);
}

#[test]
fn another_process_under_the_same_name_begins_anew() {
    let mut scene = Scene::of(1);
    let old = scene.pick();
    let moved = Target { address: "10.9.9.9:1".parse().unwrap(), ..target(0) };
    let closed = scene.group.update(vec![moved], None, scene.now);
    assert_eq!((closed.len(), closed[0].in_flight()), (1, 1), "the old one is drained");
    assert_eq!(scene.in_flight(), [0]);
    assert_eq!(scene.pick().address().port(), 1);
    drop(old);
    assert_eq!((closed[0].in_flight(), scene.in_flight()), (0, vec![0]));
}

#[test]
fn of_one_name_only_the_first_counts() {
    let scene = Scene::of(0);
    scene.group.update(vec![target(0), target(0), target(1)], None, scene.now);
    assert_eq!(scene.group.ready(), 2);
}

#[test]
fn who_is_told_to_drain_is_reported_once() {
    let scene = Scene::of(2);
    let draining = || vec![announced(0, Announced::Draining), target(1)];
    let first = scene.group.update(draining(), None, scene.now);
    assert_eq!(first.iter().map(|drain| drain.id().clone()).collect::<Vec<_>>(), [id(0)]);
    assert!(scene.group.update(draining(), None, scene.now).is_empty());
    assert_eq!(scene.states(), [State::Draining, State::Healthy]);
    scene.group.update(vec![target(0), target(1)], None, scene.now);
    assert_eq!(scene.states(), [State::Healthy, State::Healthy], "taken back");
}
