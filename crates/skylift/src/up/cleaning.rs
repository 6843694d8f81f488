//! What is cleaned up, once or regularly.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use skylift_build::builder::Builder;
use skylift_control::cleanup::{Cleaned, Cleanup, Keep};
use tokio::sync::watch;

use super::containers::OwnEngine;

/// What this process keeps outside the stores, for clean-up.
#[derive(Clone)]
pub(crate) struct OwnThings {
    /// The folder for builds in progress, layers and caches.
    pub(super) builds: PathBuf,
    pub(super) engine: Option<OwnEngine>,
}

/// One clean-up of everything: rows, blobs, and what this process keeps for apps and deployments that are gone.
pub(crate) async fn once(cleanup: &Cleanup, keep: Keep, own: &OwnThings) -> anyhow::Result<Cleaned> {
    let cleaned = cleanup.run(keep).await?;
    clean_own_things(cleanup, keep, own).await?;
    Ok(cleaned)
}

/// Removes what builders keep here for apps that are gone, and images of deployments that are.
async fn clean_own_things(cleanup: &Cleanup, keep: Keep, own: &OwnThings) -> anyhow::Result<Cleaned> {
    let slots = cleanup.store.apps().await?.iter().map(|app| app.slot).collect();
    let folder = own.builds.clone();
    tokio::task::spawn_blocking(move || Builder::sweep(&folder, &slots)).await.context("remove unused layers")?;
    if let Some(engine) = &own.engine {
        match engine.clean(cleanup, keep.grace).await {
            Ok(0) => {}
            Ok(images) => tracing::info!(images, "removed images that nothing needs"),
            // An engine that is away must not keep the rest from being cleaned up.
            Err(error) => tracing::error!(error = format!("{error:#}"), "cannot clean up images"),
        }
    }
    Ok(Cleaned::default())
}

/// What is cleaned up regularly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Everything,
    /// What is in this process's data folder; another process does the rest.
    OwnFolder,
}

/// Until it is told to stop.
pub(super) async fn regularly(
    cleanup: Cleanup,
    scope: Scope,
    keep: Keep,
    own: OwnThings,
    every: Duration,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let cleaned = match scope {
            Scope::Everything => once(&cleanup, keep, &own).await,
            Scope::OwnFolder => clean_own_things(&cleanup, keep, &own).await,
        };
        match cleaned {
            Ok(done) if done.deployments + done.blobs > 0 => {
                tracing::info!(deployments = done.deployments, blobs = done.blobs, bytes = done.bytes, "cleaned up");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(error = format!("{error:#}"), "clean-up failed"),
        }
    }
}
