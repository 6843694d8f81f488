//! Tells how much is asked of apps that run, every second: those who decide how many instances there should be want to know. And
//! how the versions of one that is rolled out answer: a canary is judged by it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use skylift_balance::{Group, VersionCounts};
use skylift_bus::{Answers, Bus, Load, Message, SEEN_MAX};
use skylift_model::{AppName, DeploymentId};
use tokio::time::MissedTickBehavior;

use super::Groups;
use crate::stopping::Stopping;

/// How often.
const EVERY: Duration = Duration::from_secs(1);

/// The one task that tells.
#[derive(Clone)]
pub(crate) struct Sensing {
    groups: Groups,
    bus: Bus,
    /// What this edge is called.
    name: String,
    /// What had been counted when it was last told.
    before: HashMap<AppName, Seen>,
    versions_before: HashMap<DeploymentId, Answers>,
    told_at: Instant,
}

/// What was counted of an app since it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    arrived: u64,
    ended: u64,
    busy_us: u64,
    waiting: u64,
    held_us: u64,
}

impl Seen {
    pub(super) fn of(group: &Group, now: Instant) -> Self {
        let totals = group.totals(now);
        Self {
            arrived: totals.passed.arrived,
            ended: totals.passed.ended,
            busy_us: totals.passed.busy_us,
            waiting: totals.parked as u64,
            held_us: totals.passed.held_us,
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            arrived: self.arrived.saturating_add(other.arrived),
            ended: self.ended.saturating_add(other.ended),
            busy_us: self.busy_us.saturating_add(other.busy_us),
            waiting: self.waiting.saturating_add(other.waiting),
            held_us: self.held_us.saturating_add(other.held_us),
        }
    }

    /// What came since `before`. A group that is gone took its counts with it.
    fn since(self, before: Self, over: Duration) -> Load {
        Load {
            over_ms: u64::try_from(over.as_millis()).unwrap_or(u64::MAX).max(1),
            arrived: self.arrived.saturating_sub(before.arrived),
            ended: self.ended.saturating_sub(before.ended),
            busy_us: self.busy_us.saturating_sub(before.busy_us),
            waiting: self.waiting,
            held_us: self.held_us.saturating_sub(before.held_us),
        }
    }
}

impl Sensing {
    pub(crate) fn new(groups: Groups, bus: Bus, name: String) -> Self {
        Self { groups, bus, name, before: HashMap::new(), versions_before: HashMap::new(), told_at: Instant::now() }
    }

    /// Tells until it is told to stop.
    pub(crate) async fn run(mut self, mut stopping: Stopping) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.tell(Instant::now());
                    self.tell_answers();
                }
                () = stopping.told() => return,
            }
        }
    }

    fn tell(&mut self, now: Instant) {
        let over = now.saturating_duration_since(self.told_at);
        self.told_at = now;
        let seen = self.groups.passed(now);
        let before = std::mem::replace(&mut self.before, seen.iter().cloned().collect());
        // What was not known before has been counted for an unknown time.
        let loads = seen.into_iter().filter_map(|(app, seen)| {
            let load = seen.since(*before.get(&app)?, over);
            Some((app, load))
        });
        let loads: Vec<_> = loads.collect();
        for some in loads.chunks(SEEN_MAX) {
            self.bus.publish(Message::Load(self.name.clone(), some.to_vec()));
        }
    }

    fn tell_answers(&mut self) {
        let seen: HashMap<DeploymentId, Answers> = self.groups.versions().into_iter().map(counted).collect();
        let before = std::mem::replace(&mut self.versions_before, seen.clone());
        let told = seen.into_iter().filter_map(|(version, seen)| {
            // What was not known before has been counted since before anybody compared.
            let since = answered_since(&seen, before.get(&version)?);
            (since.answered > 0).then_some((version, since))
        });
        let told: Vec<_> = told.collect();
        for some in told.chunks(SEEN_MAX) {
            self.bus.publish(Message::Answered(self.name.clone(), some.to_vec()));
        }
    }
}

fn counted(counts: VersionCounts) -> (DeploymentId, Answers) {
    let VersionCounts { version, answered, errors, took } = counts;
    (version, Answers { answered, failed: errors, took })
}

/// Where an instance has left with its counts, a second of them is lost.
fn answered_since(now: &Answers, before: &Answers) -> Answers {
    let mut took = now.took;
    took.iter_mut().zip(before.took).for_each(|(count, before)| *count = count.saturating_sub(before));
    let (answered, failed) = (now.answered.saturating_sub(before.answered), now.failed.saturating_sub(before.failed));
    Answers { answered, failed, took }
}
