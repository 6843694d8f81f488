//! What the tuner says, as it is told.

use std::collections::BTreeSet;

use skylift_model::wire::{Tuned, TunedPool, TunedWindow, TunerTold};
use skylift_scale::tune::{Chosen, PoolTuning, Tuning};

/// Depths and windows of those languages alone that have places which wait.
pub(super) fn told(tuning: &Tuning, waits: &BTreeSet<String>) -> TunerTold {
    TunerTold {
        pools: tuning.pools.iter().map(|(name, pool)| of_pool(name, pool, waits.contains(name))).collect(),
        concurrency: tuned(&tuning.worker.concurrency, |count| f64::from(*count)),
        backlog_target: tuned(&tuning.worker.backlog_target, |target| *target),
        room_bytes: tuning.room_bytes,
    }
}

fn of_pool(name: &str, pool: &PoolTuning, waits: bool) -> TunedPool {
    let micros = |seconds: Option<f64>| seconds.map(|seconds| (seconds * 1e6) as u64);
    let percent = |share: Option<f64>| share.map(|share| rounded(share * 100.0));
    let inputs = &pool.inputs;
    TunedPool {
        language: name.to_owned(),
        rate_per_s: rounded(inputs.rate_fast),
        usual_per_s: rounded(inputs.rate_slow),
        variation: rounded(inputs.cv),
        burst: inputs.burst,
        refill_us: micros(inputs.refill_s),
        service_us: micros(inputs.service_s),
        wait_us: micros(inputs.wait_s),
        cpu_us: micros(inputs.cpu_s),
        ready_percent: percent(inputs.ready_share),
        cold_percent: percent(inputs.cold_share),
        peak_p99_bytes: inputs.peak_p99_bytes.map(|bytes| bytes as u64),
        loaded_bytes: inputs.base_bytes as u64,
        place_bytes: inputs.place_bytes as u64,
        depth: waits.then(|| tuned(&pool.depth, |depth| f64::from(*depth))),
        window: waits.then(|| TunedWindow {
            from_ms: pool.window.value.prewarm_ms,
            until_ms: pool.window.value.until_ms,
            why: pool.window.why.clone(),
        }),
        memory_hint_bytes: tuned(&pool.memory_hint_bytes, |bytes| *bytes as f64),
    }
}

fn tuned<T>(chosen: &Chosen<T>, number: impl Fn(&T) -> f64) -> Tuned {
    Tuned { value: number(&chosen.value), why: chosen.why.clone() }
}

/// To thousandths.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
