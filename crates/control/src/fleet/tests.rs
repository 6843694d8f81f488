//! A fleet in memory, driven by plans until nothing changes.

use skylift_model::rollout::Strategy;
use skylift_store::{Crash, RolloutRow};

use super::*;
use crate::in_memory::{NODE, at, deployment, fleet, instance};

/// What the store, the worker and the drain do with a plan, one after the other; `answers` says whether a new instance
/// ever becomes ready.
struct World {
    fleet: Fleet,
    now: Timestamp,
    made: u64,
}

impl World {
    fn new(fleet: Fleet) -> Self {
        Self { fleet, now: at(100), made: 0 }
    }

    fn add(&mut self, deployment: &DeploymentId, state: InstanceState) {
        self.made += 1;
        self.fleet.instances.push(InstanceRow { created_at: self.now, ..instance(self.made, deployment, state) });
    }

    fn with(mut self, number: i64, state: InstanceState, count: usize) -> Self {
        (0..count).for_each(|_| self.add(&deployment(number), state));
        self
    }

    fn plan(&self) -> Next {
        plan(&self.fleet, Pace::default(), Some(NODE), self.now)
    }

    fn apply(&mut self, changes: &Changes) {
        for (deployment, _) in &changes.start {
            self.add(deployment, InstanceState::Starting);
        }
        for id in changes.drain.iter().chain(&changes.stop) {
            self.fleet.instances.retain(|row| row.id != *id);
        }
    }

    fn answer(&mut self) {
        for row in &mut self.fleet.instances {
            if row.state == InstanceState::Starting {
                row.state = InstanceState::Ready;
            }
        }
    }

    fn ready(&self) -> usize {
        self.fleet.instances.iter().filter(|row| row.state == InstanceState::Ready).count()
    }
}

#[test]
fn a_rollout_never_has_fewer_that_answer_than_wanted_nor_more_than_one_beyond() {
    for wanted in 1..=7 {
        let mut world = World::new(fleet(Some(1), Some(2), wanted)).with(1, InstanceState::Ready, wanted as usize);
        for _ in 0..=2 * wanted {
            let next = world.plan();
            if next.rollout == Rollout::Ready {
                break;
            }
            world.apply(&next.changes);
            assert!(world.ready() >= wanted as usize, "{wanted} wanted, {} answer", world.ready());
            assert!(world.fleet.instances.len() <= wanted as usize + 1, "one beyond at most");
            world.answer();
        }
        let next = world.plan();
        assert_eq!(next.rollout, Rollout::Ready, "{wanted} wanted");
        world.fleet.live = world.fleet.next.take();
        let changes = world.plan().changes;
        world.apply(&changes);
        assert!(world.fleet.instances.iter().all(|row| row.deployment == deployment(2)), "nothing old is left");
        assert_eq!(world.ready(), wanted as usize);
        assert!(world.plan().changes.is_empty(), "then nothing changes");
    }
}

/// A rolling rollout of version 2 that is under way.
fn rolling(wanted: u32, state: RolloutState, settings: RolloutSettings) -> World {
    let mut fleet = fleet(Some(1), Some(2), wanted);
    fleet.settings = settings;
    fleet.rollout = Some(RolloutRow {
        deployment: deployment(2),
        app: fleet.app.clone(),
        old: fleet.live.clone(),
        strategy: Strategy::Rolling,
        state,
        step: 0,
        share: 0,
        step_at: None,
        began_at: at(100),
        ended_at: None,
        reason: None,
    });
    World::new(fleet).with(1, InstanceState::Ready, wanted as usize)
}

#[test]
fn as_many_come_at_a_time_as_it_says() {
    let settings = RolloutSettings { max_surge: 3, ..RolloutSettings::default() };
    let mut world = rolling(4, RolloutState::Going, settings);
    let changes = world.plan().changes;
    assert_eq!(changes.start.len(), 3);
    world.apply(&changes);
    assert!(world.plan().changes.is_empty(), "no more than that");
    world.answer();
    let changes = world.plan().changes;
    assert_eq!((changes.start.len(), changes.drain.len()), (0, 3), "as many go as answer");
}

#[test]
fn between_two_it_pauses_as_long_as_it_says_unless_it_is_to_be_finished() {
    let settings = RolloutSettings { pause_between_seconds: 30, ..RolloutSettings::default() };
    let mut world = rolling(3, RolloutState::Going, settings);
    let changes = world.plan().changes;
    assert_eq!(changes.start.len(), 1, "the first comes at once");
    world.apply(&changes);
    world.answer();
    world.fleet.instances.last_mut().unwrap().ready_at = Some(world.now);
    let next = world.plan();
    assert_eq!((next.changes.start.len(), next.changes.drain.len()), (0, 1), "one of the old ones goes all the same");
    assert_eq!(next.again_at, Some(world.now.plus(Duration::from_secs(30))));
    world.apply(&next.changes);
    let before = world.now;
    world.now = before.plus(Duration::from_secs(30));
    assert_eq!(world.plan().changes.start.len(), 1);
    world.now = before;
    world.fleet.rollout.as_mut().unwrap().state = RolloutState::Promoted;
    assert_eq!(world.plan().changes.start.len(), 2, "all that are missing");
    world.fleet.rollout = None;
    (world.fleet.live, world.fleet.next) = (world.fleet.next.take(), None);
    assert_eq!(world.plan().changes.start.len(), 1, "what goes back does not pause");
}

#[test]
fn one_that_is_held_stays_as_it_is_and_what_was_live_goes_on_whole() {
    let mut world = rolling(2, RolloutState::Paused, RolloutSettings::default());
    assert_eq!((world.plan().changes, world.plan().rollout), (Changes::default(), Rollout::Rolling));
    world = world.with(2, InstanceState::Ready, 1);
    assert!(world.plan().changes.is_empty(), "nobody goes");
    world = world.with(2, InstanceState::Ready, 1);
    assert_eq!(world.plan().rollout, Rollout::Rolling, "nor does it go live");
    let mut world = rolling(2, RolloutState::Paused, RolloutSettings::default());
    world.fleet.instances.pop();
    assert_eq!(world.plan().changes.start, [(deployment(1), NODE.to_owned())]);
}

#[test]
fn the_first_deployment_starts_all_at_once() {
    let world = World::new(fleet(None, Some(1), 3));
    assert_eq!(world.plan().changes.start.len(), 3);
}

#[test]
fn a_rollout_whose_instance_ends_or_never_answers_fails_with_the_reason() {
    let mut world = World::new(fleet(Some(1), Some(2), 2)).with(1, InstanceState::Ready, 2);
    let crash = Crash { deployment: deployment(2), at: world.now, reason: "it exited with code 1".to_owned() };
    world.fleet.crashes.push(crash);
    assert_eq!(world.plan().rollout, Rollout::Failed("it exited with code 1".to_owned()));
    assert!(world.plan().changes.is_empty(), "what serves goes on");

    let mut world =
        World::new(fleet(Some(1), Some(2), 2)).with(1, InstanceState::Ready, 2).with(2, InstanceState::Starting, 1);
    assert_eq!(world.plan().again_at, Some(world.now.plus(Pace::default().start)));
    world.now = world.now.plus(Pace::default().start);
    assert!(matches!(world.plan().rollout, Rollout::Failed(reason) if reason.contains("60 s")));
}

#[test]
fn what_was_live_is_replaced_while_another_rolls_out() {
    let mut world =
        World::new(fleet(Some(1), Some(2), 2)).with(1, InstanceState::Ready, 1).with(2, InstanceState::Starting, 1);
    assert_eq!(world.plan().changes.start, [(deployment(1), NODE.to_owned())]);
    let crash = Crash { deployment: deployment(1), at: world.now, reason: "gone".to_owned() };
    world.fleet.crashes.push(crash);
    assert!(world.plan().changes.start.is_empty(), "not at once, where it has crashed");
    world.answer();
    assert!(world.plan().changes.start.iter().all(|(started, _)| *started == deployment(2)), "then the new ones do");
}

#[test]
fn without_a_node_a_rollout_says_so_and_nothing_is_started() {
    let fleet = fleet(None, Some(1), 3);
    let next = plan(&fleet, Pace::default(), None, at(100));
    assert!(matches!(next.rollout, Rollout::Failed(reason) if reason.contains("`work`")));
    assert!(next.changes.is_empty());
}

#[test]
fn the_wanted_number_is_held_and_crashes_are_replaced_ever_more_slowly() {
    let mut world = World::new(fleet(Some(1), None, 3)).with(1, InstanceState::Ready, 1);
    assert_eq!(world.plan().changes.start.len(), 2);
    for (crashes, wait) in [(1, 1), (2, 2), (3, 4), (9, 60), (40, 60)] {
        let crash = Crash { deployment: deployment(1), at: world.now, reason: "gone".to_owned() };
        world.fleet.crashes = vec![crash; crashes];
        let next = world.plan();
        assert!(next.changes.is_empty());
        assert_eq!(next.again_at, Some(world.now.plus(Duration::from_secs(wait))), "{crashes} crashes");
    }
    world.now = world.now.plus(Duration::from_secs(60));
    assert_eq!(world.plan().changes.start.len(), 2);
}

#[test]
fn fewer_wanted_takes_what_never_answered_first_and_then_the_youngest() {
    let mut world =
        World::new(fleet(Some(1), None, 2)).with(1, InstanceState::Ready, 3).with(1, InstanceState::Starting, 1);
    let changes = world.plan().changes;
    let ids: Vec<_> = world.fleet.instances.iter().map(|row| row.id.clone()).collect();
    assert_eq!((changes.stop, changes.drain), (vec![ids[3].clone()], vec![ids[2].clone()]));
    world.fleet.wanted = 0;
    let changes = world.plan().changes;
    assert_eq!((changes.stop.len(), changes.drain.len()), (1, 3));
}

#[test]
fn instances_of_what_is_not_live_any_more_go_once_others_answer() {
    let world = World::new(fleet(Some(2), None, 1))
        .with(2, InstanceState::Ready, 1)
        .with(1, InstanceState::Ready, 2)
        .with(1, InstanceState::Starting, 1);
    let changes = world.plan().changes;
    assert_eq!((changes.drain.len(), changes.stop.len(), changes.start.len()), (2, 1, 0));
    let site = World::new(fleet(None, None, 1)).with(1, InstanceState::Ready, 1);
    assert_eq!(site.plan().changes.drain.len(), 1, "a site took its place");
}

#[test]
fn a_rollback_takes_the_traffic_back_one_by_one() {
    let mut world = World::new(fleet(Some(1), None, 3)).with(2, InstanceState::Ready, 3);
    for _ in 0..6 {
        let changes = world.plan().changes;
        world.apply(&changes);
        assert!(world.ready() >= 3 && world.fleet.instances.len() <= 4);
        world.answer();
    }
    let changes = world.plan().changes;
    world.apply(&changes);
    assert!(world.fleet.instances.iter().all(|row| row.deployment == deployment(1)));
    assert_eq!(world.ready(), 3);
}

#[test]
fn one_that_stays_unhealthy_is_replaced_once_another_answers_and_one_that_recovers_stays() {
    let sick_for = |seconds: i64| {
        let mut world = World::new(fleet(Some(1), None, 2));
        world.add(&deployment(1), InstanceState::Ready);
        world.add(&deployment(1), InstanceState::Ready);
        world.fleet.unhealthy_for = Some(Duration::from_secs(30));
        world.fleet.instances[0].unhealthy_since = Some(at(100 - seconds));
        plan(&world.fleet, Pace::default(), Some(NODE), at(100))
    };
    let soon = sick_for(29);
    assert!(soon.changes.is_empty());
    assert_eq!(soon.again_at, Some(at(101)), "it is looked at again at that moment, whatever else happens");
    let changes = sick_for(30).changes;
    assert_eq!((changes.start.len(), changes.drain.len()), (1, 0), "a new one first");
}

#[test]
fn a_start_that_is_too_late_is_told_with_what_the_instance_did_not_answer() {
    let late = |reason: Option<&str>| {
        let mut world = World::new(fleet(Some(1), Some(2), 1)).with(2, InstanceState::Starting, 1);
        world.fleet.instances[0].reason = reason.map(str::to_owned);
        let Rollout::Failed(why) = plan(&world.fleet, Pace::default(), Some(NODE), at(160)).rollout else {
            panic!("it is late")
        };
        why
    };
    assert_eq!(late(Some("it listens on port 3000")), "an instance was not ready within 60 s: it listens on port 3000");
    assert!(late(None).contains("its log says"));
}

#[test]
fn a_restart_replaces_them_one_by_one_and_as_many_answer_all_the_time() {
    let mut world = World::new(fleet(Some(1), None, 3)).with(1, InstanceState::Ready, 3);
    let before: Vec<_> = world.fleet.instances.iter().map(|row| row.id.clone()).collect();
    world.now = at(200);
    world.fleet.restarted_at = at(150);
    for _ in 0..6 {
        let changes = world.plan().changes;
        world.apply(&changes);
        assert!(world.ready() >= 3 && world.fleet.instances.len() <= 4);
        world.answer();
    }
    let changes = world.plan().changes;
    world.apply(&changes);
    assert!(world.fleet.instances.iter().all(|row| !before.contains(&row.id)), "none of before is left");
    assert_eq!(world.ready(), 3);
    assert!(world.plan().changes.is_empty(), "then nothing changes");
}
