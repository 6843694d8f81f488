//! An edge among several: it says that it serves for as long as it does, so that "live" means all that do.

use std::time::Duration;

use anyhow::Context;
use skylift_bus::Edges;
use skylift_model::{Clock, chain};
use skylift_store::Store;
use tokio::sync::watch;
use tokio::time::timeout;

use super::folder::DataFolder;
use super::secrets::random_name;

/// How long an edge counts after it was last heard of. Shorter than an answer waits for it.
const COUNTS_FOR: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How long the store may take; an edge serves without it.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) const NAME_FILE: &str = "edge-name";

/// This process's edge, as others know it.
#[derive(Clone)]
pub(crate) struct Presence {
    store: Store,
    clock: Clock,
    name: String,
}

impl Presence {
    /// The edge of this data folder; it keeps its name.
    pub(crate) fn new(folder: &DataFolder, store: &Store, clock: &Clock) -> anyhow::Result<Self> {
        Ok(Self { store: store.clone(), clock: clock.clone(), name: node_name(folder)? })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Says it once. To be said before the routes are read: who changes them from then on waits for this edge.
    pub(crate) async fn say(&self) {
        if !self.store.is_shared() {
            return;
        }
        let renewed = self.store.renew_edge(self.name.clone(), self.clock.now(), COUNTS_FOR);
        match timeout(PATIENCE, renewed).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = %chain(&error), "the other processes cannot be told of this edge"),
            Err(_) => tracing::warn!("the other processes were not told of this edge in time"),
        }
    }

    /// Says it again and again until told to stop; then says that it is over.
    pub(crate) async fn keep(self, mut stop: watch::Receiver<bool>) {
        if !self.store.is_shared() {
            return;
        }
        loop {
            let is_over = tokio::select! {
                () = tokio::time::sleep(RENEW_EVERY) => false,
                _ = stop.wait_for(|stop| *stop) => true,
            };
            if is_over {
                break;
            }
            self.say().await;
        }
        let _ = timeout(PATIENCE, self.store.end_edge(self.name)).await;
    }
}

/// What this process is called, as an edge and as a node; it keeps its name.
pub(crate) fn node_name(folder: &DataFolder) -> anyhow::Result<String> {
    let known = folder.read_private(NAME_FILE)?.and_then(|name| String::from_utf8(name).ok());
    let is_name = |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if let Some(name) = known.filter(is_name) {
        return Ok(name);
    }
    let name = random_name()?;
    folder.write_private(NAME_FILE, name.as_bytes()).context("keep this process's name")?;
    Ok(name)
}

/// The edges that serve: on shared stores those that say so, else the one of this process.
pub(crate) fn edges(store: &Store, clock: &Clock, own: Option<String>) -> Edges {
    let (store, clock) = (store.clone(), clock.clone());
    std::sync::Arc::new(move || {
        let (store, now, own) = (store.clone(), clock.now(), own.clone());
        Box::pin(async move {
            if store.is_shared() { store.edges(now).await.ok() } else { Some(own.into_iter().collect()) }
        })
    })
}
