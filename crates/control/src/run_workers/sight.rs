//! What is seen of workers at one moment: pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use skylift_model::Timestamp;
use skylift_model::wire::{Pace, WorkerTold};
use skylift_scale::{Observed, Worker};
use skylift_store::{RunsSeen, WorkerRow};

use super::numbers::Numbers;

/// A worker that was started here.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) started: Instant,
    /// When it first told how it is.
    pub(super) first_told: Option<Instant>,
    /// Since when it has told nothing, where it did before.
    pub(super) silent_since: Option<Instant>,
    /// When it was told to take nothing more.
    pub(super) drains_since: Option<Instant>,
    /// Whether it was told to end.
    pub(super) is_ending: bool,
}

impl Known {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, first_told: None, silent_since: None, drains_since: None, is_ending: false }
    }

    /// Notes whether it was heard of lately.
    pub(super) fn hear(&mut self, heard: bool) {
        match heard {
            true => {
                self.first_told.get_or_insert_with(Instant::now);
                self.silent_since = None;
            }
            false if self.first_told.is_some() => {
                self.silent_since.get_or_insert_with(Instant::now);
            }
            false => {}
        }
    }

    /// How long it took from its start until it took runs, in seconds.
    pub(super) fn boot_s(&self) -> Option<f64> {
        Some(self.first_told?.duration_since(self.started).as_secs_f64())
    }
}

/// What is seen of workers and of what they have to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// Those that tell how they are, by name: whether each takes nothing more.
    told: HashMap<String, bool>,
    held: HashMap<String, u64>,
    visible: u64,
    arrivals_per_s: Option<f64>,
    lately: Pace,
    /// Workers that take runs and were not started by the backlog.
    pub(super) fixed: u32,
    /// Those, and the ones that were started here: `InServiceInstances` of whoever decides.
    pub(super) in_service: u32,
    /// All that take runs, whoever started them.
    serving: u32,
    /// Those that take nothing more.
    draining: u32,
    /// Of those in service, how many hold a run.
    holding: u32,
    /// The same, of those that were started here.
    pub(super) holding_children: u32,
    /// How many runs a worker has at a time, in the mean.
    pub(super) slots: Option<f64>,
}

impl Sight {
    /// What the rows tell, and what is known of those that were started here.
    pub(super) fn of(
        rows: &[WorkerRow],
        seen: &RunsSeen,
        known: &HashMap<String, Known>,
        passed: Duration,
        now: Timestamp,
    ) -> Self {
        let mut sight = Self { held: seen.held.clone(), visible: seen.visible, ..Self::default() };
        let passed_s = passed.as_secs_f64();
        sight.arrivals_per_s = (passed_s > 0.0).then(|| seen.queued as f64 / passed_s);
        let mut slots = 0;
        for row in rows.iter().filter(|row| now.since(row.at) < WorkerTold::LOST_AFTER) {
            // One of a newer version may tell what nobody here understands.
            let Ok(told) = serde_json::from_str::<WorkerTold>(&row.told) else { continue };
            let own = known.get(&row.name);
            // Of those that somebody else started only whoever did knows what becomes of them.
            let is_fixed = told.started_by.is_none();
            sight.told.insert(row.name.clone(), told.drains);
            let serves = !told.drains && own.is_none_or(|known| known.drains_since.is_none() && !known.is_ending);
            sight.lately.add(told.lately);
            sight.serving += u32::from(serves);
            sight.draining += u32::from(!serves);
            if serves && (is_fixed || own.is_some()) {
                let holds = u32::from(sight.holds(&row.name) > 0);
                sight.in_service += 1;
                sight.fixed += u32::from(is_fixed);
                sight.holding += holds;
                sight.holding_children += if is_fixed { 0 } else { holds };
                slots += told.at_once;
            }
        }
        sight.slots = (sight.in_service > 0).then(|| slots as f64 / f64::from(sight.in_service));
        sight
    }

    fn holds(&self, name: &str) -> u64 {
        self.held.get(name).copied().unwrap_or_default()
    }

    /// Whether a worker tells how it is.
    pub(super) fn heard(&self, name: &str) -> bool {
        self.told.contains_key(name)
    }

    /// As whoever decides sees it.
    pub(super) fn observed(&self, starting: u32, boot_s: Option<f64>) -> Observed {
        Observed {
            ready: self.in_service,
            starting,
            waiting: Some(self.visible as f64),
            in_flight: Some(self.held.values().sum::<u64>() as f64),
            holding: Some(self.holding),
            arrivals_per_s: self.arrivals_per_s,
            service_s: self.lately.service_s(),
            boot_s,
            cpu: None,
        }
    }

    /// Those that were started here, as whoever plans who goes sees them; times are since `began`.
    pub(super) fn workers(&self, known: &HashMap<String, Known>, began: Instant) -> Vec<Worker> {
        let ms = |at: Instant| u64::try_from(at.saturating_duration_since(began).as_millis()).unwrap_or(u64::MAX);
        let worker = |(name, known): (&String, &Known)| {
            // It may be about to take something for as long as it has not said that it takes nothing more.
            let has_answered = known.drains_since.is_none() || self.told.get(name) == Some(&true);
            let holds = self.holds(name).max(u64::from(!has_answered));
            Worker {
                id: name.clone(),
                is_starting: known.first_told.is_none(),
                holds: u32::try_from(holds).unwrap_or(u32::MAX),
                started_ms: ms(known.started),
                drains_since_ms: known.drains_since.map(ms),
            }
        };
        known.iter().filter(|(_, known)| !known.is_ending).map(worker).collect()
    }

    /// As it is told in numbers.
    pub(super) fn numbers(&self, starting: u32) -> Numbers {
        Numbers {
            visible: self.visible,
            in_flight: self.held.values().sum(),
            in_service: self.serving,
            starting,
            draining: self.draining,
            per_worker_second: self.lately.per_worker_second(),
        }
    }
}
