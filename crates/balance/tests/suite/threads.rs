//! Many threads at once: nothing leaks, no limit is passed, nobody is forgotten.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use skylift_balance::{Announced, Ask, Group, Limits, Outcome, Probe, Settings};

use super::scene::{Dice, OK, announced, id, target};

const HARD: u32 = 5;

fn limited() -> Settings {
    Settings { limits: Limits { soft: Some(2), hard: HARD }, ..Settings::default() }
}

#[test]
fn counts_never_leak_whatever_changes_meanwhile() {
    let start = Instant::now();
    let group = Group::new(limited(), start);
    group.update((0..12).map(target).collect(), None, start);
    let is_over = AtomicBool::new(false);
    let picked: u64 = std::thread::scope(|scope| {
        scope.spawn(|| change(&group, &is_over));
        let threads: Vec<_> = (0..8)
            .map(|seed| {
                let group = &group;
                scope.spawn(move || work(group, seed))
            })
            .collect();
        let picked = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        is_over.store(true, Ordering::Relaxed);
        picked
    });
    assert!(picked > 10_000, "{picked}");
    group.update((0..12).map(target).collect(), None, start);
    assert!(group.status(start).iter().all(|one| one.in_flight == 0));
}

/// Picks, holds a few, records all kinds of ends.
fn work(group: &Group, seed: u64) -> u64 {
    let (mut dice, mut held, mut picked) = (Dice(seed), Vec::new(), 0);
    for _ in 0..20_000 {
        let now = Instant::now();
        let sticky = id(dice.below(14));
        let ask = Ask { sticky: dice.below(4).eq(&0).then_some(&sticky), tried: &[] };
        if let Ok(one) = group.pick(&ask, now, dice.roll()) {
            held.push(one);
            picked += 1;
        }
        if held.len() > dice.below(9) {
            let mut ended = held.swap_remove(dice.below(held.len()));
            let outcomes = [OK, OK, Outcome::Reset, Outcome::Refused, Outcome::ClientLeft];
            if let Some(outcome) = outcomes.get(dice.below(6)) {
                let _ = ended.record(*outcome, now);
            }
        }
    }
    picked
}

fn change(group: &Group, is_over: &AtomicBool) {
    let mut dice = Dice(99);
    while !is_over.load(Ordering::Relaxed) {
        let now = Instant::now();
        let stage = |dice: &mut Dice| [Announced::Serving, Announced::Serving, Announced::Draining][dice.below(3)];
        let targets = (0..14).filter(|_| dice.below(5) > 0).collect::<Vec<_>>();
        group.update(targets.into_iter().map(|number| announced(number, stage(&mut dice))).collect(), None, now);
        let probe = if dice.below(2) == 0 { Probe::Failed } else { Probe::Passed };
        let _ = group.probed(&id(dice.below(14)), probe, now);
        assert!(group.status(now).iter().all(|one| one.in_flight <= HARD), "a limit was passed");
        std::thread::yield_now();
    }
}

/// What a pick is checked against: a count beside the group's own. Looking first and counting after, as this control does, passes the
/// limit where threads meet; the group's places never do.
#[test]
fn the_limit_holds_where_threads_meet() {
    let now = Instant::now();
    let group = Group::new(limited(), now);
    group.update(vec![target(0)], None, now);
    let (present, most) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5000 {
                    let Ok(_one) = group.pick(&Ask::default(), now, 0) else { continue };
                    let here = present.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(here, Ordering::SeqCst);
                    std::thread::yield_now();
                    present.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    let most = most.into_inner();
    assert!((1..=HARD).contains(&most), "{most} at a time");
    assert_eq!(looking_first_and_counting_after(8), 8, "all who looked before anybody counted got in");
}

/// The most that are in at a time, where each of so many looks for a place before any of them takes it.
fn looking_first_and_counting_after(threads: u32) -> u32 {
    let (count, all_have_looked) = (AtomicU32::new(0), std::sync::Barrier::new(threads as usize));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let is_free = count.load(Ordering::SeqCst) < HARD;
                all_have_looked.wait();
                if is_free {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    count.into_inner()
}

/// Once an update has returned, nobody is at a drained target who was not there before.
#[test]
fn no_pick_reaches_a_target_after_it_was_closed() {
    let now = Instant::now();
    for seed in 0..200 {
        let group = Group::new(Settings::default(), now);
        group.update(vec![target(0)], None, now);
        let is_closed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (group, is_closed) = (&group, &is_closed);
                scope.spawn(move || {
                    let mut dice = Dice(seed * 3 + thread);
                    loop {
                        let was_closed = is_closed.load(Ordering::SeqCst);
                        let picked = group.pick(&Ask::default(), now, dice.roll());
                        assert!(!(was_closed && picked.is_ok()), "seed {seed}");
                        if was_closed {
                            break;
                        }
                    }
                });
            }
            let closed = group.update(vec![announced(0, Announced::Draining)], None, now);
            is_closed.store(true, Ordering::SeqCst);
            assert_eq!(closed.len(), 1);
        });
    }
}

#[test]
fn nobody_who_waits_is_forgotten_by_those_who_leave() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let start = Instant::now();
    let group = Group::new(Settings { limits: Limits { soft: None, hard: 1 }, ..Settings::default() }, start);
    group.update(vec![target(0), target(1)], None, start);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..100_u64)
            .map(|seed| {
                let group = group.clone();
                tokio::spawn(async move {
                    let mut dice = Dice(seed);
                    for _ in 0..50 {
                        let served = group.pick_or_wait(&Ask::default(), || dice.roll()).await;
                        tokio::task::yield_now().await;
                        drop(served.expect("served: a forgotten one would be told that its time is over"));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!((group.totals(start).parked, group.status(start)[0].in_flight), (0, 0));
}
