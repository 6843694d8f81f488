//! Where workers are started and ended: what is known of them, and what is done.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use skylift_model::Timestamp;
use skylift_model::wire::{ScalingAnswer, WorkerScaling};
use skylift_scale::{Decision, Retire, State, decide, plan_retire};
use skylift_store::StoreError;

use super::WorkerBounds;
use super::children::{Children, Told};
use super::sight::{Known, Sight};
use crate::worker::Queue;

/// For how long who leads does so without saying it again, and how often it says it.
pub(super) const LEADS_FOR: Duration = Duration::from_secs(10);
const LEADS_EVERY: Duration = Duration::from_secs(3);
/// How long nobody is started after one that ended before it took anything, doubled with each.
const REST: Duration = Duration::from_secs(2);
pub(super) const REST_MAX: Duration = Duration::from_secs(60);
/// Who says nothing for so long while others are heard hangs, and is killed: what it had is run elsewhere by then.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// Where workers are started.
pub(super) struct Host {
    pub(super) node: String,
    pub(super) bounds: WorkerBounds,
    pub(super) children: Box<dyn Children>,
    pub(super) known: HashMap<String, Known>,
    pub(super) state: State,
    pub(super) began: Instant,
    /// When it was last said that this process leads; `None` while it does not.
    pub(super) leads_since: Option<Instant>,
    /// When it was last told how many there are, and why.
    pub(super) told_at: Option<Instant>,
    pub(super) rests: Rests,
}

/// How long nobody is started, since those that were ended at once.
#[derive(Default)]
pub(super) struct Rests {
    pub(super) failures: u32,
    pub(super) until: Option<Instant>,
}

impl Host {
    /// Whether this process is the one that scales: it finds out where it does not know, or has not said so for too long.
    pub(super) async fn leads(&mut self, queue: &Queue, now: Timestamp) -> Result<bool, StoreError> {
        match self.leads_since {
            Some(since) if since.elapsed() < LEADS_FOR => Ok(true),
            _ => self.lead(queue, now, None).await,
        }
    }

    /// Says that it leads, where nobody else does. Who finds that another does ends what it started.
    async fn lead(&mut self, queue: &Queue, now: Timestamp, told: Option<String>) -> Result<bool, StoreError> {
        let leads = queue.store.lead(WorkerScaling::LEAD, self.node.clone(), told, now, LEADS_FOR).await?;
        if leads != self.leads_since.is_some() {
            (self.state, self.told_at) = (State::default(), None);
        }
        self.leads_since = leads.then(Instant::now);
        if leads {
            return Ok(true);
        }
        for (name, known) in self.known.iter_mut().filter(|(_, known)| !known.is_ending) {
            tracing::warn!(worker = name, "another process starts and ends workers now; that of this one ends");
            known.is_ending = true;
            self.children.tell(name, Told::End);
        }
        Ok(false)
    }

    pub(super) fn starting(&self) -> u32 {
        let starting = self.known.values().filter(|known| known.first_told.is_none() && known.drains_since.is_none());
        u32::try_from(starting.count()).unwrap_or(u32::MAX)
    }

    /// Forgets those that have ended.
    pub(super) fn look_after_children(&mut self) {
        let living = self.children.living();
        let is_there = |name: &str| living.iter().any(|child| child.name == name);
        for (name, known) in self.known.extract_if(|name, _| !is_there(name)) {
            let was_told = known.is_ending;
            if !was_told {
                tracing::error!(worker = name, "a worker ended by itself; what it had is run by others");
            }
            if !was_told && known.first_told.is_none() {
                self.rests.failed();
            }
        }
        for child in living {
            self.known.entry(child.name).or_insert_with(|| Known::new(child.started));
        }
    }

    /// Notes what those that were started tell, and kills who hangs.
    pub(super) fn take_in(&mut self, sight: &Sight) {
        for (name, known) in &mut self.known {
            known.hear(sight.heard(name));
            if known.first_told.is_some() {
                self.rests = Rests::default();
            }
            if !known.is_ending && known.silent_since.is_some_and(|since| since.elapsed() >= HANGS_AFTER) {
                tracing::error!(worker = name, "a worker says nothing any more, and is killed");
                known.is_ending = true;
                self.children.tell(name, Told::Die);
            }
        }
    }

    pub(super) fn decide(&mut self, sight: &Sight) -> Decision {
        let mut starts: Vec<f64> = self.known.values().filter_map(Known::boot_s).collect();
        starts.sort_by(f64::total_cmp);
        let observed = sight.observed(self.starting(), starts.last().copied());
        let settings = self.bounds.settings(sight);
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        decide(&observed, &settings, &mut self.state, now_ms)
    }

    /// Starts and ends, so that there are as many as was decided; who holds a run stays.
    pub(super) fn apply(&mut self, sight: &Sight, decision: &Decision) {
        let wanted = self.bounds.wanted(sight, decision.desired);
        let workers: Vec<_> = sight.workers(&self.known, self.began);
        let serving = workers.iter().filter(|worker| worker.drains_since_ms.is_none()).count();
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let grace_ms = u64::try_from(self.bounds.grace.as_millis()).unwrap_or(u64::MAX);
        let plan = plan_retire(&workers, wanted, now_ms, grace_ms);
        let resumed = plan.iter().filter(|step| matches!(step, Retire::Resume(_))).count();
        if decision.desired != decision.from {
            let (from, to) = (decision.from, decision.desired);
            tracing::info!(from, to, why = decision.reason, "workers of runs scaled");
        }
        for step in plan {
            self.retire(step);
        }
        let missing = (wanted as usize).saturating_sub(serving + resumed);
        for _ in 0..missing {
            if self.rests.until.is_some_and(|until| Instant::now() < until) {
                break;
            }
            match self.children.start() {
                Ok(child) => {
                    self.known.insert(child.name, Known::new(child.started));
                }
                Err(error) => {
                    tracing::error!(%error, "a worker cannot be started");
                    self.rests.failed();
                }
            }
        }
    }

    fn retire(&mut self, step: Retire) {
        let (name, told) = match step {
            Retire::Drain(name) => (name, Told::Drain),
            Retire::Resume(name) => (name, Told::Serve),
            Retire::GiveBack(name) => (name, Told::GiveBack),
            Retire::End(name) => (name, Told::End),
        };
        tracing::info!(worker = name, told = ?told, "a worker is told");
        if let Some(known) = self.known.get_mut(&name) {
            match told {
                Told::Drain => known.drains_since = Some(Instant::now()),
                Told::Serve => known.drains_since = None,
                Told::End | Told::Die => known.is_ending = true,
                Told::GiveBack => {}
            }
        }
        self.children.tell(&name, told);
    }

    /// Tells those who ask how many workers there are, and why.
    pub(super) async fn tell(
        &mut self,
        queue: &Queue,
        sight: &Sight,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let is_due = self.told_at.is_none_or(|at| at.elapsed() >= LEADS_EVERY);
        if !is_due && decision.desired == decision.from {
            return Ok(());
        }
        let answers = decision.answers.iter().map(|answer| ScalingAnswer {
            law: answer.law.to_owned(),
            wants: answer.wants,
            why: answer.why.clone(),
        });
        let told = WorkerScaling {
            node: self.node.clone(),
            desired: decision.desired,
            fixed: sight.fixed,
            min: self.bounds.min,
            max: self.bounds.max,
            starting: self.starting(),
            reason: decision.reason.clone(),
            answers: answers.collect(),
        };
        // A plain struct: serialising it cannot fail.
        let told = serde_json::to_string(&told).unwrap_or_default();
        if self.lead(queue, now, Some(told)).await? {
            self.told_at = Some(Instant::now());
        }
        Ok(())
    }
}

impl Rests {
    pub(super) fn failed(&mut self) {
        let rest = REST.saturating_mul(2_u32.saturating_pow(self.failures.min(8))).min(REST_MAX);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(Instant::now() + rest);
    }
}
