//! A group, a clock that stands until it is moved, and dice with a seed.

use std::time::{Duration, Instant};

use skylift_balance::{Announced, Ask, Group, InFlight, NoTarget, Outcome, Settings, Split, State, Target, TargetId};
use skylift_model::{DeploymentId, Timestamp};

pub(crate) struct Scene {
    pub(crate) group: Group,
    pub(crate) now: Instant,
    pub(crate) dice: Dice,
}

/// SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.roll() % count as u64) as usize
    }
}

pub(crate) fn id(number: usize) -> TargetId {
    format!("i-{number}").parse().unwrap()
}

pub(crate) fn version(number: i64) -> DeploymentId {
    DeploymentId::new(Timestamp::from_millis(number), 0)
}

/// The `number`th instance, of version 1, serving.
pub(crate) fn target(number: usize) -> Target {
    Target {
        id: id(number),
        address: format!("10.0.0.{}:8080", number % 250 + 1).parse().unwrap(),
        node: "n-1".parse().unwrap(),
        deployment: version(1),
        weight: 1,
        protocol: skylift_model::program::Protocol::Http1,
        announced: Announced::Serving,
    }
}

pub(crate) fn announced(number: usize, announced: Announced) -> Target {
    Target { announced, ..target(number) }
}

pub(crate) fn of_version(number: usize, deployment: i64) -> Target {
    Target { deployment: version(deployment), ..target(number) }
}

impl Scene {
    pub(crate) fn with(settings: Settings, targets: Vec<Target>) -> Self {
        let now = Instant::now();
        let group = Group::new(settings, now);
        group.update(targets, None, now);
        Self { group, now, dice: Dice(7) }
    }

    /// So many serving targets and the defaults.
    pub(crate) fn of(count: usize) -> Self {
        Self::with(Settings::default(), (0..count).map(target).collect())
    }

    pub(crate) fn split(&self, targets: Vec<Target>, split: Split) {
        self.group.update(targets, Some(split), self.now);
    }

    pub(crate) fn wait(&mut self, duration: Duration) {
        self.now += duration;
    }

    pub(crate) fn try_pick(&mut self, ask: &Ask<'_>) -> Result<InFlight, NoTarget> {
        let random = self.dice.roll();
        self.group.pick(ask, self.now, random)
    }

    pub(crate) fn pick(&mut self) -> InFlight {
        self.try_pick(&Ask::default()).unwrap()
    }

    /// One request to a certain target, as a sticky one goes there.
    pub(crate) fn pick_there(&mut self, number: usize) -> InFlight {
        let there = id(number);
        let picked = self.try_pick(&Ask { sticky: Some(&there), tried: &[] }).unwrap();
        assert_eq!(picked.id(), &there);
        picked
    }

    /// One request to a certain target that took so long.
    pub(crate) fn answer(&mut self, number: usize, took: Duration, outcome: Outcome) {
        let mut picked = self.pick_there(number);
        picked.record(outcome, self.now + took);
    }

    /// How many of so many picks, of which none ends before the last, each of the targets got.
    pub(crate) fn spread_while_held(&mut self, picks: usize, targets: usize) -> Vec<usize> {
        let held: Vec<InFlight> = (0..picks).map(|_| self.pick()).collect();
        (0..targets).map(|number| held.iter().filter(|one| one.id() == &id(number)).count()).collect()
    }

    /// The same, of picks that end at once.
    pub(crate) fn spread_one_by_one(&mut self, picks: usize, targets: usize) -> Vec<usize> {
        let mut counts = vec![0; targets];
        for _ in 0..picks {
            let picked = self.pick();
            let number = (0..targets).find(|number| picked.id() == &id(*number)).unwrap();
            counts[number] += 1;
        }
        counts
    }

    pub(crate) fn states(&self) -> Vec<State> {
        self.group.status(self.now).into_iter().map(|one| one.state).collect()
    }

    pub(crate) fn in_flight(&self) -> Vec<u32> {
        self.group.status(self.now).into_iter().map(|one| one.in_flight).collect()
    }
}

pub(crate) const OK: Outcome = Outcome::Answered { status: 200 };
pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
