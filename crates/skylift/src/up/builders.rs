//! Those who build.

use std::sync::Arc;

use anyhow::Context;
use skylift_build::builder::Builder;
use skylift_build::equipment::Equipment;
use skylift_control::worker::Queue;
use skylift_sandbox::Isolation;
use skylift_store::{JobKind, Lease};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cleaning::OwnThings;
use super::containers::OwnEngine;
use super::workers::Core;
use crate::config::Config;

/// Has so many build at a time.
pub(super) fn start(
    tasks: &mut JoinSet<()>,
    queue: &Queue,
    builder: &Arc<Builder>,
    count: usize,
    stop: &watch::Receiver<bool>,
) {
    for _ in 0..count {
        let (queue, builder, stop) = (queue.clone(), builder.clone(), stop.clone());
        tasks.spawn(async move {
            let stopping = stop.clone();
            let build = |lease| until_stopped(builder.clone(), lease, stopping.clone());
            queue.run(JobKind::Build, stop, build).await;
        });
    }
}

/// What builds, with all that it needs.
pub(super) fn builder(
    core: &Core,
    config: &Config,
    own: &OwnThings,
    isolation: &Isolation,
    equipment: Arc<Equipment>,
) -> anyhow::Result<Builder> {
    let Core { store, blobs, bus, clock, key } = core.clone();
    let key = key.context("builds need the master key")?;
    let settings = config.build.clone();
    Ok(Builder {
        store,
        blobs,
        bus,
        clock,
        key,
        settings,
        equipment,
        metrics: Arc::default(),
        overlay: isolation.overlay,
        services: config.services(),
        domain: config.domain.clone(),
        images: own.engine.as_ref().map(OwnEngine::for_builds),
        folder: own.builds.clone(),
        disk_reserve_bytes: config.keep.reserve_bytes,
    })
}

/// Builds; a build still running when the process must stop is dropped, which kills it, and its job is taken up by
/// the next process.
async fn until_stopped(builder: Arc<Builder>, lease: Lease, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = builder.run(lease) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}
