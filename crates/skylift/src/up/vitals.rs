//! What this process tells of itself.

use std::sync::Arc;

use skylift_api::{Metrics, Remark, Vitals};

use super::folder::DataFolder;
use super::workers::{Core, Started};
use crate::config::Config;

/// Whether it is well and ready, and its numbers.
pub(crate) fn vitals(core: &Core, config: &Config, folder: &DataFolder, started: &Started) -> Vitals {
    Vitals {
        store: core.store.clone(),
        clock: core.clock.clone(),
        data_dir: folder.path().to_owned(),
        disk_reserve_bytes: config.keep.reserve_bytes,
        metrics: metrics(core, started),
        remark: remark(started),
        missing: started.missing.clone(),
    }
}

/// What its parts have to tell although it is ready.
pub(crate) fn remark(started: &Started) -> Remark {
    let metrics = started.metrics.clone();
    Arc::new(move || lost_apps(&metrics))
}

/// What is to be said of apps that are served although the rows about them are gone. Names none: anybody may ask.
pub(crate) fn lost_apps(metrics: &skylift_edge::Metrics) -> Option<String> {
    let count = metrics.lost_apps();
    (count > 0).then(|| format!("apps are served that are missing from the store, and that nobody removed: {count}"))
}

/// The numbers of every part that has some.
pub(crate) fn metrics(core: &Core, started: &Started) -> Metrics {
    let (metrics, builds) = (started.metrics.clone(), started.builds.clone());
    let (blobs, bus, runs) = (core.blobs.clone(), core.bus.clone(), started.run_metrics.clone());
    let workers = started.worker_numbers.clone();
    let plane = if started.runs_here { "work" } else { "api" };
    let ai = started.ai.clone();
    Arc::new(move |text| {
        metrics.render(text);
        if let Some(builds) = &builds {
            builds.render(text);
        }
        runs.render(plane, text);
        if let Some(workers) = &workers {
            workers.render(text);
        }
        if let Some(ai) = &ai {
            ai.render_metrics(text);
        }
        blobs.render_metrics(text);
        bus.render_metrics(text);
    })
}
