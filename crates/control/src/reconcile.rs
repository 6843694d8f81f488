//! Keeps the instances of every app as they should be: reads them, plans, writes what follows, and sees drains to their end.
//!
//! Whatever woke it, it looks at the rows again. What it changes is refused where somebody else changed the same
//! meanwhile; then it looks once more.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skylift_bus::{Applied, Message, Received};
use skylift_durable::{Defence, left_out};
use skylift_model::restart::ENDS_COUNT_FOR;
use skylift_model::{AppName, InstanceId, InstanceState, Timestamp, chain};
use skylift_store::{Changed, Changes, Fleet, InstanceRow, StoreError, Unstarted};
use tokio::sync::watch;

use crate::after_live::{self, Trial};
use crate::fleet::{Next, Pace, plan};
use crate::heard::Heard;
use crate::worker::Queue;
use crate::{processes, release};

/// How often everything is looked at without having been woken.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long edges may take to say that they ask an instance nothing new.
const EDGES_WITHIN: Duration = Duration::from_secs(10);

/// What keeps instances as they should be. Cheap to clone.
#[derive(Clone)]
pub struct Reconciler {
    pub queue: Queue,
    /// What edges serve.
    pub applied: Applied,
    /// Where new instances go; `None` where no node is known.
    pub node: Option<String>,
    pub pace: Pace,
    /// How long what an instance has under way is waited for before it is stopped.
    pub drain: Duration,
    draining: Arc<Mutex<HashSet<InstanceId>>>,
    /// Apps that wait for room, which an instance of any other may leave.
    waiting: Arc<Mutex<BTreeSet<AppName>>>,
    heard: Arc<Mutex<Heard>>,
}

impl Reconciler {
    /// One for new instances on `node`, where there is one.
    pub fn new(queue: Queue, applied: Applied, node: Option<String>, drain: Duration) -> Self {
        let (draining, waiting, heard) = Default::default();
        Self { queue, applied, node, pace: Pace::default(), drain, draining, waiting, heard }
    }

    /// Works until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut messages = self.queue.bus.subscribe();
        let mut due = Due { all: true, ..Due::default() };
        let mut again_at = None;
        // By its own clock: messages that concern no instance must not put it off.
        let mut looking = tokio::time::interval(LOOK_EVERY);
        while !*stop.borrow() {
            if due.all {
                match self.queue.store.apps_that_run().await {
                    Ok(apps) => due.apps.extend(apps),
                    Err(error) => tracing::error!(error = %chain(&error), "cannot tell which apps run"),
                }
                due.all = false;
            }
            for app in std::mem::take(&mut due.apps) {
                match self.pass(&app).await {
                    Ok(at) => again_at = sooner(again_at, at),
                    Err(StoreError::NotFound(_)) => {}
                    Err(error) => tracing::error!(app = %app, error = %chain(&error), "cannot look after instances"),
                }
            }
            let pause = again_at.map_or(LOOK_EVERY, |at: Timestamp| at.since(self.queue.clock.now()));
            tokio::select! {
                received = messages.next() => {
                    if matches!(received, Received::Message(Message::InstancesChanged(_))) {
                        due.apps.append(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
                    }
                    if let Received::Message(Message::Answered(_, seen)) = &received {
                        let mut heard = self.heard();
                        heard.hear(seen, self.queue.clock.now());
                        due.apps.extend(heard.watched().cloned());
                    }
                    due.note(received);
                }
                () = tokio::time::sleep(pause) => {
                    due.all = true;
                    again_at = None;
                }
                _ = looking.tick() => due.all = true,
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    /// Looks at one app and does what follows. Returns when to look again.
    async fn pass(&self, app: &AppName) -> Result<Option<Timestamp>, StoreError> {
        let now = self.queue.clock.now();
        let fleet = self.queue.store.fleet(app.clone(), now.minus(ENDS_COUNT_FOR)).await?;
        self.see_drains_through(&fleet);
        // Whoever holds the deploy's lease plans while it rolls out. Where nothing serves at all, as after a kill of the platform,
        // what is live does not wait until somebody holds it.
        if fleet.next.is_some() {
            if fleet.one_writer.is_none() && !fleet.instances.iter().any(serves_or_will) {
                let live_alone = Fleet { next: None, rollout: None, ..fleet.clone() };
                let changes = plan(&live_alone, self.pace, self.node.as_deref(), now).changes;
                self.change(fleet, changes).await?;
            }
            return Ok(None);
        }
        let trial_until = match self.trial(&fleet, now) {
            Trial::None => None,
            Trial::Until(at) => Some(at),
            Trial::Failed(why) => return self.take_back(fleet, why, now).await.map(|()| None),
        };
        let Next { changes, again_at, .. } = plan(&fleet, self.pace, self.node.as_deref(), now);
        let (_, releases) = release::plan(&fleet, self.node.as_deref());
        let (workers, workers_at) = processes::plan(&fleet, self.pace, self.node.as_deref(), now);
        self.change(fleet, changes.and(releases).and(workers)).await?;
        Ok(sooner(sooner(again_at, workers_at), trial_until))
    }

    /// How what is live does, where it went live a moment ago.
    fn trial(&self, fleet: &Fleet, now: Timestamp) -> Trial {
        let mut heard = self.heard();
        let judged = fleet.trial.as_ref().zip(fleet.trial.as_ref().and_then(|trial| trial.old.as_ref()));
        let trial = judged.map_or(Trial::None, |(trial, old)| {
            let answers = (heard.of(&trial.deployment), heard.of(old));
            after_live::judge(fleet, trial, (&answers.0, &answers.1), now)
        });
        heard.watch(&fleet.app, matches!(trial, Trial::Until(_)));
        trial
    }

    /// Makes live what was before. Whoever looks at the app next plans for that.
    async fn take_back(&self, fleet: Fleet, why: String, now: Timestamp) -> Result<(), StoreError> {
        let Some(trial) = fleet.trial else { return Ok(()) };
        let deployment = trial.deployment.clone();
        if let Some(live) = self.queue.store.take_live_back(trial, why.clone(), now).await? {
            tracing::warn!(app = %live.app, deployment.id = %deployment, live = %live.deployment.id, why, "a deployment was taken back");
            self.queue.bus.publish(Message::RoutesChanged(live.app.clone()));
            self.queue.bus.publish(Message::DeploymentChanged(live.deployment.id));
        }
        self.queue.bus.publish(Message::DeploymentChanged(deployment));
        self.queue.bus.publish(Message::InstancesChanged(fleet.app));
        Ok(())
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes changes and tells whom they concern. Returns why some were not started, where that is so.
    pub(crate) async fn change(&self, fleet: Fleet, changes: Changes) -> Result<Option<Unstarted>, StoreError> {
        if changes.is_empty() {
            return Ok(None);
        }
        let app = fleet.app.clone();
        let done = self.queue.store.change_instances(fleet, changes, self.queue.clock.now()).await?;
        let Some(Changed { is_any, unstarted, gave }) = done else {
            self.queue.bus.publish(Message::InstancesChanged(app));
            return Ok(None);
        };
        self.note_waiting(&app, unstarted.is_some());
        for donor in gave {
            tracing::info!(app = %app, donor = %donor, "an instance gives its room to one that cannot be done without");
            self.queue.bus.publish(Message::RoutesChanged(donor.clone()));
            self.queue.bus.publish(Message::InstancesChanged(donor));
        }
        if is_any {
            self.queue.bus.publish(Message::RoutesChanged(app.clone()));
            self.queue.bus.publish(Message::InstancesChanged(app));
        }
        Ok(unstarted)
    }

    fn note_waiting(&self, app: &AppName, is_waiting: bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if is_waiting {
            waiting.insert(app.clone())
        } else {
            waiting.remove(app)
        };
    }

    /// Every draining instance is stopped once nothing is under way there.
    fn see_drains_through(&self, fleet: &Fleet) {
        for row in fleet.instances.iter().filter(|row| row.state == InstanceState::Draining) {
            let is_new = self.draining.lock().unwrap_or_else(PoisonError::into_inner).insert(row.id.clone());
            if is_new {
                let (this, row) = (self.clone(), row.clone());
                tokio::spawn(async move { this.see_drain_through(row).await });
            }
        }
    }

    async fn see_drain_through(&self, row: InstanceRow) {
        let within = if left_out(Defence::Drain) { Duration::ZERO } else { EDGES_WITHIN + self.drain };
        let drained = self.applied.wait_drained(&row.app, &row.id, within).await;
        tracing::info!(app = %row.app, instance.id = %row.id, drained = ?drained, "stopping an instance");
        loop {
            match self.queue.store.stop_instance(row.id.clone(), self.queue.clock.now()).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(instance.id = %row.id, error = %chain(&error), "cannot stop an instance");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        self.queue.bus.publish(Message::InstancesChanged(row.app));
        self.draining.lock().unwrap_or_else(PoisonError::into_inner).remove(&row.id);
    }
}

fn serves_or_will(row: &InstanceRow) -> bool {
    matches!(row.state, InstanceState::Starting | InstanceState::Ready)
}

/// What is to be looked at.
#[derive(Default)]
struct Due {
    all: bool,
    apps: BTreeSet<AppName>,
}

impl Due {
    fn note(&mut self, received: Received) {
        match received {
            Received::Message(Message::InstancesChanged(app) | Message::RoutesChanged(app)) => {
                self.apps.insert(app);
            }
            Received::Missed => self.all = true,
            Received::Message(_) | Received::Closed => {}
        }
    }
}

fn sooner(at: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [at, other].into_iter().flatten().min()
}
