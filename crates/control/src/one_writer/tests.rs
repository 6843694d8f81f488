//! A fleet in memory, driven through every order in which things may happen.

use skylift_model::rollout::Strategy;
use skylift_store::{Crash, RolloutRow};

use super::*;
use crate::in_memory::{self, NODE, at, deployment, instance};

fn fleet(live: Option<i64>, next: Option<i64>, wanted: u32) -> Fleet {
    Fleet { one_writer: Some("main".parse().unwrap()), ..in_memory::fleet(live, next, wanted) }
}

fn add(fleet: &mut Fleet, number: i64, state: InstanceState, made: u64) {
    fleet.instances.push(InstanceRow { created_at: at(100), ..instance(made, &deployment(number), state) });
}

fn planned(fleet: &Fleet) -> Next {
    plan(fleet, Pace::default(), Some(NODE), at(100))
}

#[test]
fn nothing_is_started_beside_anything_that_has_not_ended() {
    use InstanceState::{Draining, Ready, Starting, Stopping};
    for (live, next) in [(Some(1), None), (Some(1), Some(2)), (Some(2), None), (None, Some(2)), (None, None)] {
        for wanted in [0, 1, 3] {
            for state in [Starting, Ready, Draining, Stopping] {
                for of in [1, 2, 3] {
                    let mut there = fleet(live, next, wanted);
                    add(&mut there, of, state, 1);
                    let plan = planned(&there);
                    assert!(plan.changes.start.is_empty(), "{live:?} {next:?} {wanted} {state} {of}: {plan:?}");
                }
            }
            let plan = planned(&fleet(live, next, wanted));
            let expected = usize::from(next.is_some() || live.is_some() && wanted > 0);
            assert_eq!(
                plan.changes.start.len(),
                expected,
                "the control, and never more than one: {live:?} {next:?} {wanted}"
            );
        }
    }
}

#[test]
fn the_old_one_goes_before_the_new_one_comes() {
    let mut fleet = fleet(Some(1), Some(2), 1);
    add(&mut fleet, 1, InstanceState::Ready, 1);
    assert_eq!(planned(&fleet).changes.drain.len(), 1);
    for state in [InstanceState::Draining, InstanceState::Stopping] {
        fleet.instances[0].state = state;
        assert_eq!((planned(&fleet).changes, planned(&fleet).rollout), (Changes::default(), Rollout::Rolling));
    }
    fleet.instances.clear();
    assert_eq!(planned(&fleet).changes.start, [(deployment(2), NODE.to_owned())]);
    add(&mut fleet, 2, InstanceState::Ready, 2);
    assert_eq!(planned(&fleet).rollout, Rollout::Ready);
    fleet.live = fleet.next.take();
    assert!(planned(&fleet).changes.is_empty());
}

#[test]
fn where_the_new_one_fails_the_old_one_comes_back() {
    let mut fleet = fleet(Some(1), Some(2), 1);
    fleet.crashes.push(Crash { deployment: deployment(2), at: at(100), reason: "no".to_owned() });
    assert_eq!(planned(&fleet).rollout, Rollout::Failed("no".to_owned()));
    fleet.next = None;
    assert_eq!(planned(&fleet).changes.start, [(deployment(1), NODE.to_owned())]);
}

#[test]
fn a_restart_stops_before_it_starts_and_two_of_before_are_one_after() {
    let mut fleet = fleet(Some(1), None, 1);
    add(&mut fleet, 1, InstanceState::Ready, 1);
    add(&mut fleet, 1, InstanceState::Ready, 2);
    assert_eq!(planned(&fleet).changes.drain.len(), 1, "one is wanted");
    fleet.instances.iter_mut().for_each(|row| row.created_at = at(99));
    fleet.restarted_at = at(100);
    assert_eq!(planned(&fleet).changes.drain.len(), 2);
    fleet.instances.clear();
    assert_eq!(planned(&fleet).changes.start.len(), 1);
}

#[test]
fn two_versions_side_by_side_are_refused_aloud() {
    let mut fleet = fleet(Some(1), Some(2), 1);
    assert_eq!(refuses(&fleet), None);
    fleet.rollout = Some(RolloutRow {
        deployment: deployment(2),
        app: fleet.app.clone(),
        old: Some(deployment(1)),
        strategy: Strategy::Canary,
        state: RolloutState::Going,
        step: 0,
        share: 0,
        step_at: None,
        began_at: at(100),
        ended_at: None,
        reason: None,
    });
    assert!(refuses(&fleet).unwrap().starts_with("`main` has one writer, and canary has two versions"));
    fleet.one_writer = None;
    assert_eq!(refuses(&fleet), None);
}
