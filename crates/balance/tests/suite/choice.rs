//! Who is picked: by cost, within limits, by weight, while slow starts last, and as a cookie says.

use std::time::Duration;

use skylift_balance::{Ask, InFlight, Limits, NoTarget, Outcome, Settings, Target};

use super::scene::{MILLISECOND, OK, SECOND, Scene, id, target};

#[test]
fn equal_targets_get_equal_shares_at_any_number() {
    for count in [1, 2, 3, 8, 9, 10, 100] {
        let mut scene = Scene::of(count);
        let held = scene.spread_while_held(count * 50, count);
        let (least, most) = (*held.iter().min().unwrap(), *held.iter().max().unwrap());
        assert!(least >= 45 && most <= 55, "{count}: {least} to {most} of 50 each");
        let mut scene = Scene::of(count);
        let idle = scene.spread_one_by_one(count * 1000, count);
        let (least, most) = (*idle.iter().min().unwrap(), *idle.iter().max().unwrap());
        assert!(least >= 850 && most <= 1150, "{count}: {least} to {most} of 1000 each, idle");
    }
}

#[test]
fn with_two_choices_the_longest_queue_is_far_shorter_than_with_one() {
    let mut scene = Scene::of(100);
    let two = *scene.spread_while_held(10_000, 100).iter().max().unwrap();
    // The control: one choice at random.
    let mut one = vec![0; 100];
    (0..10_000).for_each(|_| one[scene.dice.below(100)] += 1);
    let one = *one.iter().max().unwrap();
    assert!(two <= 105 && one >= 115, "{two} with two choices, {one} with one");
}

#[test]
fn a_slow_target_gets_as_much_less_as_it_is_slower() {
    for count in [4, 20] {
        let mut scene = Scene::of(count);
        (0..count).for_each(|number| scene.answer(number, MILLISECOND * if number == 0 { 10 } else { 1 }, OK));
        let held = scene.spread_while_held(count * 100, count);
        assert!((5..20).contains(&held[0]), "{} of about 100", held[0]);
    }
}

#[test]
fn a_target_that_was_slow_once_is_tried_again() {
    let mut scene = Scene::of(2);
    scene.answer(0, SECOND, OK);
    scene.answer(1, MILLISECOND, OK);
    assert_eq!(scene.spread_one_by_one(100, 2), [0, 100]);
    let mut seconds = 0;
    while scene.pick().id() == &id(1) {
        scene.answer(1, MILLISECOND, OK);
        scene.wait(SECOND);
        seconds += 1;
        assert!(seconds < 120, "never");
    }
    assert!(seconds > 20, "after {seconds} s");
}

/// One of eleven stops answering for half a minute; clients wait a second. A model with steps of 1 ms, 1,000 requests a second,
/// each answered after 5 ms.
#[test]
fn a_stuck_target_costs_few_requests_and_a_round_robin_many() {
    let failed = |balanced: bool| {
        let mut scene = Scene::of(11);
        let mut flying: Vec<(u64, InFlight)> = Vec::new();
        let mut failed = 0;
        for step in 0..20_000_u64 {
            scene.wait(MILLISECOND);
            let picked = if balanced { scene.pick() } else { scene.pick_there(usize::try_from(step % 11).unwrap()) };
            let stuck = picked.id() == &id(3);
            flying.push((step + if stuck { 1000 } else { 5 }, picked));
            for (_, mut ended) in flying.extract_if(.., |(end, _)| *end <= step) {
                let stuck = ended.id() == &id(3);
                failed += u32::from(stuck);
                // Ejection is not what is measured.
                ended.record(if stuck { Outcome::ClientLeft } else { OK }, scene.now);
            }
        }
        f64::from(failed) / 20_000.0
    };
    let (balanced, in_turn) = (failed(true), failed(false));
    assert!(balanced < 0.005 && in_turn > 0.08, "{balanced} failed, in turn {in_turn}");
}

#[test]
fn the_limit_of_a_target_is_never_passed() {
    for count in [2, 12] {
        let limits = Limits { soft: None, hard: 3 };
        let mut scene = Scene::with(Settings { limits, ..Settings::default() }, (0..count).map(target).collect());
        let mut held: Vec<InFlight> = (0..count * 3).map(|_| scene.pick()).collect();
        assert_eq!(scene.in_flight(), vec![3; count]);
        assert_eq!(scene.try_pick(&Ask::default()).err(), Some(NoTarget::Full));
        let freed = held.pop().unwrap().id().clone();
        assert_eq!(scene.pick().id(), &freed, "the only one with a place");
    }
}

#[test]
fn over_the_soft_limit_even_a_slower_one_is_preferred() {
    let limits = Limits { soft: Some(2), hard: 10 };
    let mut scene = Scene::with(Settings { limits, ..Settings::default() }, vec![target(0), target(1)]);
    scene.answer(0, MILLISECOND, OK);
    scene.answer(1, MILLISECOND * 100, OK);
    assert_eq!(scene.spread_while_held(4, 2), [2, 2]);
    assert!(scene.spread_while_held(8, 2)[0] > 2, "then the soft limit says nothing more");
}

#[test]
fn weight_is_share_and_none_is_nothing() {
    let weighted = |number, weight| Target { weight, ..target(number) };
    let mut scene = Scene::with(Settings::default(), vec![weighted(0, 1), weighted(1, 3), weighted(2, 0)]);
    let held = scene.spread_while_held(400, 3);
    assert_eq!(held[2], 0);
    assert!((95..=105).contains(&held[0]), "{held:?}");
}

#[test]
fn a_slow_start_grows_and_does_not_apply_among_new_ones() {
    let settings = Settings { slow_start: Some(SECOND * 100), ..Settings::default() };
    let mut scene = Scene::with(settings, vec![target(0)]);
    scene.wait(SECOND * 200);
    scene.group.update(vec![target(0), target(1)], None, scene.now);
    let mut shares = Vec::new();
    for _ in 0..3 {
        shares.push(scene.spread_while_held(110, 2)[1]);
        scene.wait(SECOND * 50);
    }
    assert!(shares[0] <= 12 && (33..=40).contains(&shares[1]) && (54..=56).contains(&shares[2]), "{shares:?}");

    let settings = Settings { slow_start: Some(SECOND * 100), ..Settings::default() };
    let mut all_new = Scene::with(settings, vec![target(0)]);
    all_new.wait(SECOND * 50);
    all_new.group.update(vec![target(0), target(1)], None, all_new.now);
    assert_eq!(all_new.spread_while_held(100, 2), [50, 50]);
}

#[test]
fn a_new_target_is_not_flooded() {
    let mut scene = Scene::of(3);
    (0..3).for_each(|number| scene.answer(number, Duration::from_millis(100), OK));
    scene.group.update((0..4).map(target).collect(), None, scene.now);
    let held = scene.spread_while_held(400, 4);
    assert!((95..=105).contains(&held[3]), "{held:?}");
}

#[test]
fn a_cookie_is_honoured_while_its_target_may_be_picked() {
    let mut scene = Scene::of(10);
    (0..50).for_each(|_| drop(scene.pick_there(4)));
    let there = id(4);
    let without: Vec<Target> = (0..10).filter(|number| *number != 4).map(target).collect();
    scene.group.update(without, None, scene.now);
    let picked = scene.try_pick(&Ask { sticky: Some(&there), tried: &[] }).unwrap();
    assert_ne!(picked.id(), &there, "gone: somebody else answers");
}

#[test]
fn a_request_never_comes_back_to_who_failed_it() {
    for count in [2, 9] {
        let mut scene = Scene::of(count);
        let tried: Vec<_> = (1..count).map(id).collect();
        for _ in 0..200 {
            let picked = scene.try_pick(&Ask { sticky: Some(&tried[0]), tried: &tried }).unwrap();
            assert_eq!(picked.id(), &id(0));
        }
        let all: Vec<_> = (0..count).map(id).collect();
        assert_eq!(scene.try_pick(&Ask { sticky: None, tried: &all }).err(), Some(NoTarget::AllTried));
    }
}
