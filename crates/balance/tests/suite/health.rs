//! Active checks, as they change who is picked.

use skylift_balance::{Announced, Health, NoTarget, Probe, State};

use super::scene::{Scene, announced, id, target};

#[test]
fn a_starting_target_gets_nothing_until_its_first_check_passes() {
    let mut scene = Scene::of(0);
    scene.group.update(vec![announced(0, Announced::Starting)], None, scene.now);
    assert_eq!(scene.group.probed(&id(0), Probe::Failed, scene.now), None);
    assert_eq!(scene.try_pick(&Default::default()).err(), Some(NoTarget::NoneReady), "it does not fail open");
    assert_eq!(scene.group.probed(&id(0), Probe::Passed, scene.now), Some(Health::HEALTHY));
    assert_eq!(scene.pick().id(), &id(0));
}

#[test]
fn an_unhealthy_target_gets_nothing_until_two_checks_pass() {
    let mut scene = Scene::of(3);
    for (probe, ready) in
        [(Probe::Failed, 3), (Probe::Failed, 3), (Probe::Failed, 2), (Probe::Passed, 2), (Probe::Passed, 3)]
    {
        let _ = scene.group.probed(&id(1), probe, scene.now);
        assert_eq!(scene.group.ready(), ready);
    }
    assert_eq!(scene.spread_while_held(30, 3), [10, 10, 10]);
}

#[test]
fn being_announced_as_serving_is_enough_to_begin_and_does_not_heal() {
    let scene = Scene::of(0);
    scene.group.update(vec![announced(0, Announced::Starting), target(1)], None, scene.now);
    (0..3).for_each(|_| {
        let _ = scene.group.probed(&id(1), Probe::Failed, scene.now);
    });
    assert_eq!(scene.states(), [State::Starting, State::Unhealthy]);
    scene.group.update(vec![target(0), target(1)], None, scene.now);
    assert_eq!(scene.states(), [State::Healthy, State::Unhealthy]);
}

#[test]
fn who_is_announced_as_unhealthy_is_asked_only_where_too_few_are_left_and_is_healed_by_the_same_word() {
    let mut scene = Scene::of(3);
    let announce = |scene: &Scene, sick: &[usize]| {
        let of = |number| if sick.contains(&number) { Announced::Unhealthy } else { Announced::Serving };
        scene.group.update((0..3).map(|number| announced(number, of(number))).collect(), None, scene.now);
    };
    announce(&scene, &[0]);
    assert_eq!(scene.states(), [State::Unhealthy, State::Healthy, State::Healthy]);
    assert_eq!(scene.spread_while_held(30, 3), [0, 15, 15]);
    announce(&scene, &[0, 1, 2]);
    assert_eq!(scene.group.ready(), 3, "all are used where none is well");
    announce(&scene, &[]);
    assert_eq!(scene.states(), [State::Healthy; 3]);
}

#[test]
fn a_check_of_a_target_that_is_gone_changes_nothing() {
    let scene = Scene::of(1);
    assert_eq!(scene.group.probed(&id(7), Probe::Failed, scene.now), None);
}
