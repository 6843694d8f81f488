//! Passive ejection and its bounds.

use std::time::Duration;

use skylift_balance::{Ejection, Outcome, Probe, Settings, State};

use super::scene::{MILLISECOND, OK, SECOND, Scene, id, target};

const RESET: Outcome = Outcome::Reset;

fn ejected(scene: &Scene) -> usize {
    scene.states().iter().filter(|state| **state == State::Ejected).count()
}

/// Records so many outcomes at one target and returns for how long the last ejected it.
fn record(scene: &mut Scene, number: usize, times: usize, outcome: Outcome) -> Option<Duration> {
    let mut lasts = None;
    // All are under way before the first ends: afterwards it could not be picked.
    let held: Vec<_> = (0..times).map(|_| scene.pick_there(number)).collect();
    for mut one in held {
        lasts = one.record(outcome, scene.now).map(|ejected| ejected.lasts).or(lasts);
    }
    lasts
}

#[test]
fn five_failures_in_a_row_eject_and_an_answer_between_forgives() {
    let mut scene = Scene::of(4);
    assert_eq!(record(&mut scene, 0, 4, RESET), None);
    record(&mut scene, 0, 1, OK);
    assert_eq!(record(&mut scene, 0, 4, RESET), None);
    assert_eq!(record(&mut scene, 0, 1, RESET), Some(SECOND * 10));
    assert_eq!(scene.states()[0], State::Ejected);
    assert_eq!(scene.spread_one_by_one(100, 4)[0], 0);
}

#[test]
fn what_the_app_says_never_ejects_it_and_one_refused_connection_does() {
    let mut scene = Scene::of(4);
    for outcome in [Outcome::Answered { status: 500 }, Outcome::Answered { status: 404 }, Outcome::ClientLeft] {
        assert_eq!(record(&mut scene, 0, 50, outcome), None, "{outcome:?}");
    }
    assert_eq!(record(&mut scene, 1, 5, Outcome::Answered { status: 503 }), Some(SECOND * 10));
    assert_eq!(record(&mut scene, 2, 1, Outcome::Refused), Some(SECOND * 10));
}

#[test]
fn half_at_most_are_out_and_never_the_last() {
    for count in [1, 2, 3, 4, 5, 10] {
        let mut scene = Scene::of(count);
        (0..count).for_each(|number| {
            let _ = record(&mut scene, number, 1, Outcome::Refused);
        });
        assert_eq!(ejected(&scene), count / 2, "of {count}");
        assert_eq!(scene.group.ready(), count - count / 2);
    }
    // The control: without the floor they go on being ejected.
    let ejection = Ejection { percent_max: 100, fail_open_percent: 0, ..Ejection::default() };
    let settings = Settings { ejection, ..Settings::default() };
    let mut scene = Scene::with(settings, (0..10).map(target).collect());
    (0..10).for_each(|number| {
        let _ = record(&mut scene, number, 1, Outcome::Refused);
    });
    assert_eq!((ejected(&scene), scene.group.ready()), (9, 1), "but the last");
}

#[test]
fn each_ejection_is_longer_until_a_good_time_is_over() {
    let mut scene = Scene::of(4);
    for expected in [10, 20, 30] {
        assert_eq!(record(&mut scene, 0, 1, Outcome::Refused), Some(SECOND * expected));
        scene.wait(SECOND * expected - MILLISECOND);
        assert_eq!((scene.spread_one_by_one(50, 4)[0], ejected(&scene)), (0, 1));
        scene.wait(MILLISECOND);
        assert!(scene.spread_one_by_one(400, 4)[0] > 50, "back, and not avoided for what was");
        assert_eq!(ejected(&scene), 0);
    }
    scene.wait(SECOND * 300);
    assert_eq!(record(&mut scene, 0, 1, Outcome::Refused), Some(SECOND * 10), "forgotten");
}

#[test]
fn when_all_are_unhealthy_all_are_used() {
    let mut scene = Scene::of(3);
    for number in 0..3 {
        (0..3).for_each(|_| {
            let _ = scene.group.probed(&id(number), Probe::Failed, scene.now);
        });
    }
    assert_eq!(scene.states(), [State::Unhealthy; 3]);
    assert!(scene.spread_one_by_one(300, 3).iter().all(|count| *count > 50));
    let totals = scene.group.totals(scene.now);
    assert!(totals.fails_open && totals.failed_open == 1);
    // The control: without it nobody would answer.
    let ejection = Ejection { fail_open_percent: 0, ..Ejection::default() };
    let mut closed = Scene::with(Settings { ejection, ..Settings::default() }, vec![target(0)]);
    (0..3).for_each(|_| {
        let _ = closed.group.probed(&id(0), Probe::Failed, closed.now);
    });
    assert!(closed.try_pick(&Default::default()).is_err());
}

#[test]
fn exactly_half_is_enough_and_less_is_not() {
    let scene = Scene::of(4);
    for (number, ready) in [(0, 3), (1, 2), (2, 4)] {
        (0..3).for_each(|_| {
            let _ = scene.group.probed(&id(number), Probe::Failed, scene.now);
        });
        assert_eq!(scene.group.ready(), ready);
    }
}

/// A target that fails at once has always the fewest requests in flight and the shortest latency. It is kept in by the floor.
#[test]
fn failing_fast_does_not_draw_requests() {
    let share = |failure_latency| {
        let ejection = Ejection { percent_max: 0, failure_latency, ..Ejection::default() };
        let mut scene = Scene::with(Settings { ejection, ..Settings::default() }, (0..4).map(target).collect());
        let mut failed = 0;
        for _ in 0..10_000 {
            let mut picked = scene.pick();
            scene.wait(MILLISECOND);
            if picked.id() == &id(0) {
                failed += 1;
                picked.record(RESET, scene.now - MILLISECOND + Duration::from_micros(50));
            } else {
                picked.record(OK, scene.now + MILLISECOND * 20);
            }
        }
        failed
    };
    let (with, without) = (share(SECOND), share(Duration::ZERO));
    assert!(with < 100 && without > 5000, "{with} of 10,000 fail, {without} without the rule");
}
