//! What came of a load, in numbers.

use serde::Serialize;

use super::load::Load;
use super::peers::{Scaler, scalers, scalers_of_runs};
use super::world::{Run, Service, run};
use crate::Settings;

/// How a scaler did. Counts are means over the seeds where there are several.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Who.
    pub scaler: String,
    /// Requests.
    pub requests: f64,
    /// Requests that waited for longer than the goal.
    pub over_goal: f64,
    /// The same, in percent of all.
    pub over_goal_percent: f64,
    /// 99 of 100 waited no longer, in seconds.
    pub wait_p99_s: f64,
    /// Time of instances, in seconds, booting and finishing included.
    pub instance_s: f64,
    /// Time of instances above what the oracle has, in seconds.
    pub over_provisioned_s: f64,
    /// How often the wanted number changed.
    pub changes: f64,
    /// Requests that were served, for each second of an instance.
    pub served_per_instance_s: f64,
    /// Instances that were told to go while they held a request.
    pub gone_busy: f64,
}

impl Score {
    /// Scores one run. The oracle knows the true rate and has ceil(λ·S ÷ (slots · 0.8)) instances.
    #[must_use]
    pub fn of(scaler: &str, run: &Run, load: &Load, service: &Service) -> Self {
        let goal_ms = (service.goal_s * 1000.0) as u64;
        let mut waits: Vec<u64> = run.waits_ms.iter().chain(&run.unserved_ms).copied().collect();
        waits.sort_unstable();
        let over_goal = waits.iter().filter(|wait| **wait > goal_ms).count() as f64;
        let requests = waits.len() as f64;
        let p99 = waits.get((waits.len() * 99 / 100).min(waits.len().saturating_sub(1))).copied().unwrap_or(0);
        let over = run.points.iter().zip(&load.rates).map(|(point, rate)| {
            let needed = rate * service.service_s / (f64::from(service.slots.max(1)) * 0.8);
            let oracle = needed.ceil().clamp(f64::from(service.min), f64::from(service.max.max(service.min)));
            (f64::from(point.instances) - oracle).max(0.0)
        });
        Self {
            scaler: scaler.to_owned(),
            requests,
            over_goal,
            over_goal_percent: if requests > 0.0 { 100.0 * over_goal / requests } else { 0.0 },
            wait_p99_s: p99 as f64 / 1000.0,
            instance_s: run.instance_ms as f64 / 1000.0,
            over_provisioned_s: over.sum(),
            changes: f64::from(run.changes),
            served_per_instance_s: run.waits_ms.len() as f64 * 1000.0 / run.instance_ms.max(1) as f64,
            gone_busy: f64::from(run.gone_busy),
        }
    }

    /// The mean over seeds of one scaler.
    fn mean(scores: &[Self]) -> Self {
        let mean = |value: fn(&Self) -> f64| scores.iter().map(value).sum::<f64>() / scores.len().max(1) as f64;
        Self {
            scaler: scores.first().map(|score| score.scaler.clone()).unwrap_or_default(),
            requests: mean(|s| s.requests),
            over_goal: mean(|s| s.over_goal),
            over_goal_percent: mean(|s| s.over_goal_percent),
            wait_p99_s: mean(|s| s.wait_p99_s),
            instance_s: mean(|s| s.instance_s),
            over_provisioned_s: mean(|s| s.over_provisioned_s),
            changes: mean(|s| s.changes),
            served_per_instance_s: mean(|s| s.served_per_instance_s),
            gone_busy: mean(|s| s.gone_busy),
        }
    }
}

/// Runs every scaler on the same loads, one for each seed; the mean score of each, and the runs of the first seed.
pub fn compare(loads: &[(u64, Load)], service: &Service, settings: &Settings) -> Vec<(Score, Run)> {
    compared(loads, service, || scalers(service, settings))
}

/// As [`compare`], for those who scale workers of runs.
pub fn compare_runs(loads: &[(u64, Load)], service: &Service) -> Vec<(Score, Run)> {
    compared(loads, service, || scalers_of_runs(service))
}

fn compared(
    loads: &[(u64, Load)],
    service: &Service,
    scalers: impl Fn() -> Vec<(&'static str, Box<dyn Scaler>)>,
) -> Vec<(Score, Run)> {
    let count = scalers().len();
    let mut compared = Vec::with_capacity(count);
    for index in 0..count {
        let mut scores = Vec::with_capacity(loads.len());
        let mut first = None;
        for (seed, load) in loads {
            let Some((name, mut scaler)) = scalers().into_iter().nth(index) else { continue };
            let done = run(load, service, scaler.as_mut(), *seed);
            scores.push(Score::of(name, &done, load, service));
            first.get_or_insert(done);
        }
        compared.push((Score::mean(&scores), first.unwrap_or_default()));
    }
    compared
}
