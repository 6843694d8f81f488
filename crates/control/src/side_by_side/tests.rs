//! Two versions in memory, driven by plans until nothing changes.

use skylift_store::Crash;

use super::*;
use crate::in_memory::{NODE, at, deployment, fleet, instance};

struct World {
    fleet: Fleet,
    rollout: RolloutRow,
    verdict: Verdict,
    now: Timestamp,
    made: u64,
}

impl World {
    /// Version 1 is live with as many instances as are wanted, version 2 comes.
    fn new(strategy: Strategy, wanted: u32) -> Self {
        let rollout = RolloutRow {
            deployment: deployment(2),
            app: "shop".parse().unwrap(),
            old: Some(deployment(1)),
            strategy,
            state: RolloutState::Going,
            step: 0,
            share: 0,
            step_at: None,
            began_at: at(100),
            ended_at: None,
            reason: None,
        };
        let settings = RolloutSettings { strategy, ..RolloutSettings::default() };
        let fleet = Fleet { settings, ..fleet(Some(1), Some(2), wanted) };
        let mut world = Self { fleet, rollout, verdict: Verdict::GoOn, now: at(100), made: 0 };
        (0..wanted).for_each(|_| world.add(1, InstanceState::Ready));
        world
    }

    fn add(&mut self, of: i64, state: InstanceState) {
        self.made += 1;
        self.fleet.instances.push(InstanceRow {
            serves: false,
            created_at: self.now,
            ..instance(self.made, &deployment(of), state)
        });
    }

    fn plan(&self) -> Next {
        plan(&self.fleet, &self.rollout, &self.verdict, Pace::default(), Some(NODE), self.now)
    }

    /// Does what is planned, until nothing changes; new instances answer. What the rollout may do then.
    fn settle(&mut self) -> Rollout {
        for _ in 0..50 {
            let next = self.plan();
            if next.changes.is_empty() {
                return next.rollout;
            }
            for (of, _) in &next.changes.start {
                let of = if *of == deployment(1) { 1 } else { 2 };
                self.add(of, InstanceState::Ready);
            }
            self.fleet
                .instances
                .retain(|row| !next.changes.drain.iter().chain(&next.changes.stop).any(|id| *id == row.id));
        }
        panic!("it never settles: {:?}", self.plan());
    }

    fn give(&mut self, hundredths: u16) {
        self.rollout.step += 1;
        (self.rollout.share, self.rollout.step_at) = (hundredths, Some(self.now));
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    fn count(&self, of: i64) -> usize {
        self.fleet.instances.iter().filter(|row| row.deployment == deployment(of)).count()
    }
}

#[test]
fn a_canary_has_instances_in_proportion_and_the_old_version_keeps_all_of_its_own() {
    for (wanted, first, second) in [(1, 1, 1), (4, 1, 2), (10, 1, 5), (15, 2, 8)] {
        let mut world = World::new(Strategy::Canary, wanted);
        assert_eq!(world.settle(), Rollout::Share(1000), "{wanted}");
        assert_eq!((world.count(1), world.count(2)), (wanted as usize, first));
        world.give(1000);
        assert_eq!(world.settle(), Rollout::Rolling, "a step takes its time");
        assert_eq!(world.plan().again_at, Some(world.now.plus(Duration::from_secs(60))));
        world.pass(60);
        assert_eq!(world.settle(), Rollout::Share(5000));
        assert_eq!((world.count(1), world.count(2)), (wanted as usize, second));
        world.give(5000);
        world.pass(60);
        assert_eq!(world.settle(), Rollout::Ready);
        assert_eq!((world.count(1), world.count(2)), (wanted as usize, wanted as usize));
    }
}

#[test]
fn no_share_is_given_before_its_instances_answer() {
    let mut world = World::new(Strategy::Canary, 4);
    world.add(2, InstanceState::Starting);
    assert_eq!(world.plan().rollout, Rollout::Rolling);
    world.now = world.now.plus(Pace::default().start);
    assert!(
        matches!(world.plan().rollout, Rollout::Failed(why) if why.contains("60 s")),
        "and they must answer in time"
    );
}

#[test]
fn what_cannot_be_told_yet_holds_a_step_and_what_is_worse_ends_it() {
    let mut world = World::new(Strategy::Canary, 4);
    world.settle();
    world.give(1000);
    world.pass(600);
    world.verdict = Verdict::Wait("2 of 3".to_owned());
    assert_eq!(world.settle(), Rollout::Rolling);
    world.verdict = Verdict::Abort("worse".to_owned());
    let next = world.plan();
    assert_eq!(next.rollout, Rollout::Failed("worse".to_owned()));
    assert!(next.changes.is_empty(), "the end of the rollout takes its instances back, in one step");
    world.verdict = Verdict::GoOn;
    let crash = Crash { deployment: deployment(2), at: world.now, reason: "exited with code 1".to_owned() };
    world.fleet.crashes.push(crash);
    assert_eq!(world.plan().rollout, Rollout::Failed("exited with code 1".to_owned()));
}

#[test]
fn an_owner_holds_it_lets_it_go_and_has_it_all() {
    let mut world = World::new(Strategy::Canary, 4);
    world.settle();
    world.give(1000);
    world.rollout.state = RolloutState::Paused;
    world.pass(6000);
    assert_eq!(world.settle(), Rollout::Rolling);
    assert_eq!(world.count(2), 1, "where it was");
    world.rollout.state = RolloutState::Going;
    world.rollout.step_at = Some(world.now);
    assert_eq!(world.settle(), Rollout::Rolling, "the step begins anew");
    world.rollout.state = RolloutState::Promoted;
    assert_eq!(world.settle(), Rollout::Ready);
    assert_eq!(world.count(2), 4, "and not before there are instances for all");
}

#[test]
fn blue_green_brings_all_and_waits_where_its_owner_wants_to_look() {
    let mut world = World::new(Strategy::BlueGreen, 3);
    assert_eq!(world.plan().changes.start.len(), 3, "all at once");
    assert_eq!(world.settle(), Rollout::Ready);
    assert_eq!((world.count(1), world.count(2)), (3, 3));
    world.fleet.settings.auto_promote = false;
    assert_eq!(world.settle(), Rollout::Waiting);
    world.rollout.state = RolloutState::Paused;
    assert_eq!(world.settle(), Rollout::Rolling);
    world.rollout.state = RolloutState::Promoted;
    assert_eq!(world.settle(), Rollout::Ready);
}

#[test]
fn both_versions_come_back_whole_after_all_instances_ended_and_follow_what_is_wanted() {
    let mut world = World::new(Strategy::Canary, 4);
    world.settle();
    world.give(1000);
    world.give(5000);
    world.settle();
    world.fleet.instances.clear();
    assert_eq!(world.settle(), Rollout::Rolling, "the same step");
    assert_eq!((world.count(1), world.count(2)), (4, 2));
    world.fleet.wanted = 2;
    world.settle();
    assert_eq!((world.count(1), world.count(2)), (2, 1));
    world.add(3, InstanceState::Ready);
    world.add(3, InstanceState::Starting);
    world.settle();
    assert_eq!(world.fleet.instances.len(), 3, "what is of neither goes");
}

#[test]
fn an_old_one_that_crashed_is_waited_with_and_without_a_node_it_fails() {
    let mut world = World::new(Strategy::Canary, 2);
    world.settle();
    world.give(1000);
    world.fleet.instances.retain(|row| row.deployment != deployment(1));
    let crash = Crash { deployment: deployment(1), at: world.now, reason: "gone".to_owned() };
    world.fleet.crashes.push(crash);
    assert!(world.plan().changes.start.is_empty());
    world.pass(2);
    assert_eq!(world.plan().changes.start.len(), 2);
    let next = plan(&world.fleet, &world.rollout, &Verdict::GoOn, Pace::default(), None, world.now);
    assert!(matches!(next.rollout, Rollout::Failed(why) if why.contains("role `work`")));
}
