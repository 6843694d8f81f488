//! Workers in memory, driven by plans.

use std::time::Duration;

use skylift_model::{InstanceId, InstanceState};
use skylift_store::{Beside, Crash};

use super::*;
use crate::in_memory::{self, at, deployment, instance};

/// An app that runs a deployment whose `worker` and `clock` are to be so many.
fn fleet(live: i64, worker: u32, clock: u32) -> Fleet {
    let wanted = [("worker".to_owned(), worker), ("clock".to_owned(), clock)].into();
    Fleet { beside: Beside { wanted, ..Beside::default() }, ..in_memory::fleet(Some(live), None, 1) }
}

fn add(fleet: &mut Fleet, of: i64, process: &str, state: InstanceState) -> InstanceId {
    let id = InstanceId::new(at(1), fleet.beside.instances.len() as u64);
    fleet.beside.instances.push(InstanceRow {
        id: id.clone(),
        serves: false,
        process: process.to_owned(),
        ..instance(0, &deployment(of), state)
    });
    id
}

fn planned(fleet: &Fleet) -> Changes {
    plan(fleet, Pace::default(), Some("n"), at(100)).0
}

fn started(changes: &Changes) -> Vec<&str> {
    changes.start_beside.iter().map(|new| new.process.as_str()).collect()
}

#[test]
fn as_many_as_are_wanted_of_each_are_started_and_the_youngest_beyond_are_stopped() {
    let mut fleet = fleet(1, 2, 1);
    assert_eq!(started(&planned(&fleet)), ["clock", "worker", "worker"]);
    add(&mut fleet, 1, "worker", InstanceState::Ready);
    add(&mut fleet, 1, "worker", InstanceState::Starting);
    let youngest = add(&mut fleet, 1, "worker", InstanceState::Starting);
    let changes = planned(&fleet);
    assert_eq!((started(&changes), &changes.stop), (vec!["clock"], &vec![youngest]));
}

#[test]
fn those_of_what_is_live_no_longer_are_stopped_once_and_the_new_ones_started() {
    let mut fleet = fleet(2, 1, 0);
    let old = add(&mut fleet, 1, "worker", InstanceState::Ready);
    add(&mut fleet, 1, "worker", InstanceState::Stopping);
    let changes = planned(&fleet);
    assert_eq!((started(&changes), &changes.stop), (vec!["worker"], &vec![old]));
    fleet.live = None;
    fleet.beside.wanted.clear();
    let changes = planned(&fleet);
    assert_eq!((changes.start_beside.len(), changes.stop.len()), (0, 1), "a site took its place");
}

#[test]
fn until_another_deployment_is_live_its_workers_wait_and_the_old_ones_work() {
    let mut fleet = fleet(1, 1, 0);
    fleet.next = Some(deployment(2));
    add(&mut fleet, 1, "worker", InstanceState::Ready);
    assert!(planned(&fleet).is_empty());
}

#[test]
fn one_that_crashes_is_waited_with_and_the_others_are_not() {
    let mut fleet = fleet(1, 1, 1);
    let crash = |of| Crash { deployment: deployment(of), at: at(100), reason: "gone".to_owned() };
    fleet.beside.crashes = vec![("worker".to_owned(), crash(1)), ("worker".to_owned(), crash(1))];
    let (changes, again_at) = plan(&fleet, Pace::default(), Some("n"), at(100));
    assert_eq!((started(&changes), again_at), (vec!["clock"], Some(at(102))));
    let (changes, again_at) = plan(&fleet, Pace::default(), Some("n"), at(100).plus(Duration::from_secs(2)));
    assert_eq!((started(&changes).len(), again_at), (2, None));
    fleet.beside.crashes = vec![("worker".to_owned(), crash(9))];
    assert_eq!(started(&planned(&fleet)).len(), 2, "another deployment's crashes say nothing of this one");
}

#[test]
fn release_commands_are_not_looked_at_and_without_a_node_nothing_is_started() {
    let mut fleet = fleet(1, 0, 0);
    add(&mut fleet, 2, RELEASE, InstanceState::Ready);
    assert!(planned(&fleet).is_empty());
    fleet.beside.wanted.insert("worker".to_owned(), 1);
    assert!(plan(&fleet, Pace::default(), None, at(100)).0.is_empty());
}

#[test]
fn a_restart_replaces_workers_and_leaves_its_owners_commands_alone() {
    let mut fleet = fleet(1, 1, 0);
    let old = add(&mut fleet, 1, "worker", InstanceState::Ready);
    add(&mut fleet, 1, "run", InstanceState::Ready);
    fleet.beside.instances[1].command = Some(vec!["ls".to_owned()]);
    assert!(planned(&fleet).is_empty());
    fleet.restarted_at = at(50);
    let changes = planned(&fleet);
    assert_eq!((started(&changes), &changes.stop), (vec!["worker"], &vec![old]));
}
