//! What this process tells of itself.

use std::sync::Arc;

use skylift_api::{Metrics, Vitals};

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
    }
}

/// The numbers of every part that has some.
pub(crate) fn metrics(core: &Core, started: &Started) -> Metrics {
    let (metrics, builds) = (started.metrics.clone(), started.builds.clone());
    let (blobs, bus) = (core.blobs.clone(), core.bus.clone());
    Arc::new(move |text| {
        metrics.render(text);
        if let Some(builds) = &builds {
            builds.render(text);
        }
        blobs.render_metrics(text);
        bus.render_metrics(text);
    })
}
