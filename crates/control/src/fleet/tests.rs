//! A fleet in memory, driven by plans until nothing changes.

use skylift_model::InstanceId;
use skylift_store::Crash;

use super::*;

const NODE: &str = "n";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn deployment(number: i64) -> DeploymentId {
    DeploymentId::new(at(number), 0)
}

fn fleet(live: Option<i64>, next: Option<i64>, wanted: u32) -> Fleet {
    Fleet {
        app: "shop".parse().unwrap(),
        live: live.map(deployment),
        next: next.map(deployment),
        wanted,
        instances: Vec::new(),
        crashes: Vec::new(),
    }
}

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
        self.fleet.instances.push(InstanceRow {
            id: InstanceId::new(at(1), self.made),
            app: self.fleet.app.clone(),
            deployment: deployment.clone(),
            node: NODE.to_owned(),
            state,
            serves: true,
            created_at: self.now,
            ready_at: None,
            ended_at: None,
            reason: None,
        });
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
