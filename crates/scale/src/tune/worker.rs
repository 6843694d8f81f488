//! How much a worker takes at a time, and which backlog is worth aiming at.

use super::bounds::Bounds;
use super::pool::Pool;
use super::state::State;
use super::tuning::{Chosen, WorkerTuning};

/// A target is moved only by so much.
const TARGET_STEP: f64 = 0.2;
const TARGET_MAX: f64 = 1000.0;
/// Concurrency is moved only where it is wrong by more than this.
const SLACK: f64 = 0.75;
/// What is aimed at where nothing is known: the default of the policy.
const TARGET_USUAL: f64 = 5.0;

/// A mean over all pools, by how much they are used.
struct Mean {
    service_s: f64,
    cpu_s: f64,
    hint_bytes: f64,
}

impl Mean {
    fn of<'a>(pools: impl Iterator<Item = &'a Pool>, bounds: &Bounds) -> Option<Self> {
        let mut mean = Self { service_s: 0.0, cpu_s: 0.0, hint_bytes: 0.0 };
        let mut weight = 0.0;
        for pool in pools {
            let Some(service_s) = pool.service_s.filter(|service_s| *service_s > 0.0) else { continue };
            let rate = pool.slow.max(1e-9);
            mean.service_s += rate * service_s;
            // What is not measured counts as a whole processor.
            mean.cpu_s += rate * pool.cpu_s.map_or(service_s, |cpu_s| cpu_s.min(service_s * bounds.processors));
            mean.hint_bytes += rate * service_s * pool.memory_hint(bounds).0 as f64;
            weight += rate;
        }
        (weight > 0.0).then(|| Self {
            service_s: mean.service_s / weight,
            cpu_s: mean.cpu_s / weight,
            // Of those that run at one moment: who runs for longer is met more often.
            hint_bytes: mean.hint_bytes / mean.service_s,
        })
    }
}

pub(super) fn tuned(state: &mut State, bounds: &Bounds) -> WorkerTuning {
    let mean = Mean::of(state.pools.values(), bounds);
    let concurrency = concurrency(mean.as_ref(), state.concurrency, bounds);
    state.concurrency = Some(concurrency.value);
    let backlog_target = backlog_target(mean.as_ref(), concurrency.value, state.backlog_target, bounds);
    state.backlog_target = Some(backlog_target.value);
    WorkerTuning { concurrency, backlog_target }
}

/// As many as keep the processors busy, and as memory has room for.
fn concurrency(mean: Option<&Mean>, before: Option<u32>, bounds: &Bounds) -> Chosen<u32> {
    let (least, most) = (bounds.concurrency_min, bounds.concurrency_max);
    let Some(mean) = mean else {
        let value = before.unwrap_or((bounds.processors * 2.0).ceil() as u32).clamp(least, most);
        return Chosen { value, why: "nothing has run: twice as many as there are processors".to_owned() };
    };
    let share = (mean.cpu_s / mean.service_s).max(1e-3);
    let by_cpu = bounds.processors / share;
    let by_memory = bounds.run_memory_bytes / mean.hint_bytes.max(1.0);
    let raw = by_cpu.min(by_memory);
    // Processors are shared, so half a run more is a run more; memory is not.
    let fits = if by_memory < by_cpu { raw.floor() } else { raw.ceil() };
    let value = match before {
        Some(before) if (raw - f64::from(before)).abs() <= SLACK && f64::from(before) <= by_memory => before,
        _ => fits.clamp(0.0, f64::from(u32::MAX)) as u32,
    };
    let value = value.clamp(least, most);
    let why = if by_memory < by_cpu {
        format!("memory for {by_memory:.1} runs of {:.0} MiB", mean.hint_bytes / 1_048_576.0)
    } else {
        format!("a run uses {:.0} % of a processor, and there are {:.1}", share * 100.0, bounds.processors)
    };
    Chosen { value, why }
}

/// Acceptable delay ÷ time that a worker takes for one: AWS's rule.
fn backlog_target(mean: Option<&Mean>, concurrency: u32, before: Option<f64>, bounds: &Bounds) -> Chosen<f64> {
    let Some(mean) = mean else {
        let value = before.unwrap_or(TARGET_USUAL);
        return Chosen { value, why: "nothing has run: the default".to_owned() };
    };
    let raw = (bounds.wait_goal_s * f64::from(concurrency) / mean.service_s).clamp(1.0, TARGET_MAX);
    let value = match before {
        Some(before) if (raw - before).abs() <= before * TARGET_STEP => before,
        _ => (raw * 10.0).round() / 10.0,
    };
    let why = format!(
        "a job may wait {:.1} s; {concurrency} at a time take {:.0} ms each",
        bounds.wait_goal_s,
        mean.service_s * 1e3
    );
    Chosen { value, why }
}
