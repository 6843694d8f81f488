//! The end of a target.

use skylift_balance::{Announced, Ask, Drained, NoTarget};
use tokio::task::yield_now;

use super::scene::{SECOND, Scene, announced, id, target};

#[tokio::test(start_paused = true)]
async fn a_draining_target_gets_nothing_new_and_ends_with_its_last_request() {
    let mut scene = Scene::of(2);
    let (first, second) = (scene.pick_there(0), scene.pick_there(0));
    let drain = scene.group.update(vec![announced(0, Announced::Draining), target(1)], None, scene.now).remove(0);
    assert!(first.is_draining());
    let there = id(0);
    for _ in 0..100 {
        assert_eq!(scene.try_pick(&Ask { sticky: Some(&there), tried: &[] }).unwrap().id(), &id(1));
    }
    let deadline = tokio::time::Instant::now().into_std() + SECOND * 30;
    let waits = tokio::spawn(async move { drain.drained(deadline).await });
    drop(first);
    yield_now().await;
    assert!(!waits.is_finished(), "one is in flight");
    drop(second);
    assert_eq!(waits.await.unwrap(), Drained::Idle);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_it_says_what_is_still_in_flight() {
    let mut scene = Scene::of(1);
    let held = scene.pick();
    let drain = scene.group.drain(&id(0), scene.now).unwrap();
    assert_eq!(scene.try_pick(&Ask::default()).err(), Some(NoTarget::NoneReady));
    let deadline = tokio::time::Instant::now().into_std() + SECOND * 30;
    assert_eq!(drain.drained(deadline).await, Drained::Deadline { in_flight: 1 });
    drop(held);
    assert_eq!(drain.drained(deadline).await, Drained::Idle);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_end_is_told_when_it_is_taken_back() {
    let mut scene = Scene::of(1);
    let _held = scene.pick();
    let drain = scene.group.drain(&id(0), scene.now).unwrap();
    let deadline = tokio::time::Instant::now().into_std() + SECOND * 30;
    let waits = tokio::spawn(async move { drain.drained(deadline).await });
    yield_now().await;
    scene.group.update(vec![target(0)], None, scene.now);
    assert_eq!(waits.await.unwrap(), Drained::TakenBack);
}

#[tokio::test]
async fn a_target_that_is_no_longer_listed_is_drained_too() {
    let mut scene = Scene::of(2);
    let held = scene.pick_there(1);
    let gone = scene.group.update(vec![target(0)], None, scene.now).remove(0);
    assert_eq!((gone.id(), gone.in_flight()), (&id(1), 1));
    drop(held);
    assert_eq!(gone.drained(scene.now + SECOND).await, Drained::Idle);
}
