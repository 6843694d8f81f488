//! Requests that wait: bounded, in order, told when their time is over.

use std::sync::{Arc, Mutex};

use skylift_balance::{Ask, Group, InFlight, Limits, Parking, Settings, Unserved};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::Instant;

use super::scene::{SECOND, id, target};

fn group(hard: u32, parking: Parking) -> Group {
    let settings = Settings { limits: Limits { soft: None, hard }, parking, ..Settings::default() };
    Group::new(settings, now())
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

fn wait(group: &Group) -> JoinHandle<Result<InFlight, Unserved>> {
    let group = group.clone();
    tokio::spawn(async move { group.pick_or_wait(&Ask::default(), || 0).await })
}

async fn settle() {
    for _ in 0..50 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_wait_for_the_first_instance_and_one_more_is_refused() {
    let group = group(1024, Parking::default());
    let waiting: Vec<_> = (0..1000).map(|_| wait(&group)).collect();
    settle().await;
    assert_eq!(group.totals(now()).parked, 1000);
    assert_eq!(wait(&group).await.unwrap().err(), Some(Unserved::Crowded));
    group.update(vec![target(0)], None, now());
    let mut served = Vec::new();
    for one in waiting {
        served.push(one.await.unwrap().unwrap());
    }
    assert_eq!(group.status(now())[0].in_flight, 1000);
    drop(served);
    assert_eq!((group.status(now())[0].in_flight, group.totals(now()).parked), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn first_come_first_served_within_the_limit() {
    let group = group(1, Parking::default());
    group.update(vec![target(0)], None, now());
    let held = group.pick_or_wait(&Ask::default(), || 0).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let waiting: Vec<_> = (0..50)
        .map(|number| {
            let (group, order) = (group.clone(), order.clone());
            tokio::spawn(async move {
                let _served = group.pick_or_wait(&Ask::default(), || 0).await.unwrap();
                order.lock().unwrap().push(number);
                assert_eq!(group.status(now())[0].in_flight, 1);
                yield_now().await;
            })
        })
        .collect();
    settle().await;
    assert!(order.lock().unwrap().is_empty());
    drop(held);
    for one in waiting {
        one.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_goes_before_whoever_comes() {
    let group = group(1, Parking::default());
    group.update(vec![target(0)], None, now());
    let held = group.pick_or_wait(&Ask::default(), || 0).await.unwrap();
    let first = wait(&group);
    settle().await;
    drop(held);
    // The place is free, and the first has not run since.
    let second = wait(&group);
    let served = first.await.unwrap().unwrap();
    settle().await;
    assert!(!second.is_finished());
    drop(served);
    drop(second.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn whose_time_is_over_is_told_and_makes_room() {
    let parking = Parking { per_target: 2, ..Parking::default() };
    let group = group(1, parking);
    group.update(vec![target(0)], None, now());
    let held = group.pick_or_wait(&Ask::default(), || 0).await.unwrap();
    let began = Instant::now();
    let (first, second) = (wait(&group), wait(&group));
    settle().await;
    assert_eq!(wait(&group).await.unwrap().err(), Some(Unserved::Crowded));
    assert_eq!(first.await.unwrap().err(), Some(Unserved::Expired { waited: SECOND * 10 }));
    assert_eq!(second.await.unwrap().err(), Some(Unserved::Expired { waited: SECOND * 10 }));
    assert!(began.elapsed() >= SECOND * 10);
    assert_eq!(group.totals(now()).parked, 0);
    let third = wait(&group);
    settle().await;
    drop(held);
    drop(third.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn with_no_instance_at_all_they_wait_longer() {
    let group = group(1, Parking::default());
    assert_eq!(wait(&group).await.unwrap().err(), Some(Unserved::Expired { waited: SECOND * 30 }));
}

#[tokio::test(start_paused = true)]
async fn clients_that_leave_hold_nobody_up_and_leak_nothing() {
    let group = group(1, Parking::default());
    group.update(vec![target(0)], None, now());
    let held = group.pick_or_wait(&Ask::default(), || 0).await.unwrap();
    let waiting: Vec<_> = (0..20).map(|_| wait(&group)).collect();
    settle().await;
    waiting.iter().step_by(2).for_each(JoinHandle::abort);
    drop(held);
    let mut served = 0;
    for one in waiting {
        served += u32::from(one.await.is_ok_and(|answer| answer.is_ok()));
    }
    assert_eq!((served, group.totals(now()).parked, group.status(now())[0].in_flight), (10, 0, 0));
}

/// A request that target 0 has failed.
fn wait_again(group: &Group) -> JoinHandle<Result<InFlight, Unserved>> {
    let group = group.clone();
    tokio::spawn(async move {
        let tried = [id(0)];
        group.pick_or_wait(&Ask { sticky: None, tried: &tried }, || 0).await
    })
}

#[tokio::test(start_paused = true)]
async fn whom_the_only_target_has_failed_waits_for_the_next_one_and_holds_nobody_up() {
    let group = group(1024, Parking::default());
    group.update(vec![target(0)], None, now());
    let again = wait_again(&group);
    settle().await;
    assert_eq!(group.totals(now()).parked, 1);
    drop(wait(&group).await.unwrap().expect("others go to the target all the same"));
    assert!(!again.is_finished());
    // It has died, and nine seconds later there is another.
    group.update(vec![], None, now());
    tokio::time::sleep(SECOND * 9).await;
    assert!(!again.is_finished());
    group.update(vec![target(1)], None, now());
    assert_eq!(again.await.unwrap().unwrap().id(), &id(1));
    assert_eq!(group.totals(now()).parked, 0);
}

#[tokio::test(start_paused = true)]
async fn whom_a_target_that_lives_has_failed_is_told_soon_and_where_none_comes_later() {
    let group = group(1024, Parking::default());
    group.update(vec![target(0)], None, now());
    let began = Instant::now();
    assert_eq!(wait_again(&group).await.unwrap().err(), Some(Unserved::AllTried));
    assert_eq!(began.elapsed().as_secs(), 2);
    group.update(vec![], None, now());
    assert_eq!(wait_again(&group).await.unwrap().err(), Some(Unserved::Expired { waited: SECOND * 30 }));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_may_wait_for_another() {
    let group = group(1024, Parking { while_none: 3, ..Parking::default() });
    group.update(vec![target(0)], None, now());
    let mut waiting: Vec<_> = (0..3).map(|_| wait_again(&group)).collect();
    settle().await;
    assert_eq!(wait_again(&group).await.unwrap().err(), Some(Unserved::Crowded));
    // A client that leaves makes room.
    waiting.pop().unwrap().abort();
    settle().await;
    assert_eq!(wait_again(&group).await.unwrap().err(), Some(Unserved::AllTried));
}
