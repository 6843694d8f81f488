//! Removing the layers that no deployment names any more, and volumes that their owners removed.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context;
use skylift_model::manifest::DOCUMENT_BYTES_MAX;
use skylift_model::{Digest, Program, chain};
use skylift_store::VolumeRow;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::worker::Worker;

/// Deployments are forgotten without a word to this node.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// However often instances end.
const SWEEP_AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// When layers are swept.
#[derive(Default)]
pub(crate) struct Sweeping {
    began: Option<Instant>,
    is_due: bool,
    task: Option<JoinHandle<()>>,
    volumes: Option<JoinHandle<()>>,
}

impl Sweeping {
    /// An instance has ended: its layer may be needed no more.
    pub(crate) fn is_due(&mut self) {
        self.is_due = true;
    }

    /// Begins a sweep where it is time for one.
    pub(crate) fn look(&mut self, worker: &std::sync::Arc<Worker>) {
        let since = self.began.map_or(SWEEP_EVERY, |began| began.elapsed());
        let is_time = since >= SWEEP_EVERY || self.is_due && since >= SWEEP_AT_MOST_EVERY;
        if is_time && self.task.as_ref().is_none_or(JoinHandle::is_finished) {
            (self.began, self.is_due) = (Some(Instant::now()), false);
            let worker = worker.clone();
            self.task = Some(tokio::spawn(async move { worker.sweep_layers().await }));
        }
    }

    /// Begins to remove the volumes that are to go, unless that is under way.
    pub(crate) fn remove_volumes(&mut self, worker: &std::sync::Arc<Worker>) {
        if self.volumes.as_ref().is_none_or(JoinHandle::is_finished) {
            let worker = worker.clone();
            self.volumes = Some(tokio::spawn(async move { worker.remove_volumes().await }));
        }
    }
}

impl Worker {
    /// Only what the rows say was removed, never what they do not name.
    async fn remove_volumes(&self) {
        let removed = match self.store.removed_volumes(self.node.clone()).await {
            Ok(removed) => removed,
            Err(error) => return tracing::warn!(error = %chain(&error), "cannot tell which volumes are to go"),
        };
        for volume in removed {
            if let Err(error) = self.remove_volume(&volume).await {
                tracing::warn!(volume.id = %volume.id, error = format!("{error:#}"), "cannot remove a volume");
            }
        }
    }

    async fn remove_volume(&self, volume: &VolumeRow) -> anyhow::Result<()> {
        let Some(lock) = self.volumes.take_last(volume)? else { return Ok(()) };
        self.free_of_containers(volume).await?;
        let (volumes, row) = (self.volumes.clone(), volume.clone());
        tokio::task::spawn_blocking(move || volumes.remove(&row, lock)).await??;
        self.store.forget_volume(volume.id.clone()).await?;
        tracing::info!(app = %volume.app, volume = %volume.name, "removed a volume");
        Ok(())
    }

    async fn sweep_layers(&self) {
        let swept = async {
            let needed = self.needed_layers().await?;
            anyhow::Ok(self.layers.sweep(&needed).await?)
        };
        match swept.await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed the files of programs that no deployment names any more"),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "cannot remove unused files of programs"),
        }
    }

    /// Those of every deployment that is kept. One that cannot be read stops the sweep: what it needs is unknown, and must stay.
    async fn needed_layers(&self) -> anyhow::Result<HashSet<Digest>> {
        let mut needed = HashSet::new();
        for digest in self.store.references().await?.programs {
            let bytes = self.blobs.get(&digest, DOCUMENT_BYTES_MAX).await?;
            let bytes = bytes.with_context(|| format!("blob {digest} is named but not stored"))?;
            let program: Program = serde_json::from_slice(&bytes).with_context(|| format!("read blob {digest}"))?;
            needed.insert(program.files);
        }
        Ok(needed)
    }
}
