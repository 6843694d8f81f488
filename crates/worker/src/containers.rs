//! The engine that runs images on this node, and what an earlier process left there.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use skylift_docker::{Container, Engine, EngineError};
use skylift_model::chain;
use skylift_store::VolumeRow;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::worker::Worker;

/// How long to wait before the engine is asked again.
const AGAIN: Duration = Duration::from_secs(5);
/// Names the node that a container or an image belongs to.
pub const NODE_LABEL: &str = "skylift.node";
pub(crate) const APP_LABEL: &str = "skylift.app";
pub(crate) const DEPLOYMENT_LABEL: &str = "skylift.deployment";
pub(crate) const INSTANCE_LABEL: &str = "skylift.instance";
/// Names the process of the platform that made a container.
const PROCESS_LABEL: &str = "skylift.process";

/// The label of a container that has a volume.
pub(crate) fn volume_label(volume: &VolumeRow) -> String {
    format!("skylift.volume.{}", volume.id)
}

/// The containers of one node.
#[derive(Clone, Debug)]
pub struct Containers {
    engine: Engine,
    node: String,
    /// What this process calls itself: nothing of its own is an earlier one's.
    process: String,
}

impl Containers {
    /// Those that `engine` runs for the node of this name.
    pub fn new(engine: Engine, node: String) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { engine, node, process: format!("{}-{}", std::process::id(), since.as_nanos()) }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Removes what an earlier process left, for as long as that takes. Nobody waits for it but who wants a volume that one of them
    /// may have.
    pub(crate) async fn sweep(self) {
        let mut is_told = false;
        let left = loop {
            match self.left().await {
                Ok(left) => break left,
                // An engine may be away for days.
                Err(_) if std::mem::replace(&mut is_told, true) => {}
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(error, "cannot look for containers that an earlier process left");
                }
            }
            sleep(AGAIN).await;
        };
        let mut removals = JoinSet::new();
        for container in left {
            removals.spawn(async move {
                tracing::info!(container.id = container.id(), "removing a container that an earlier process left");
                while let Err(error) = container.remove().await {
                    tracing::warn!(container.id = container.id(), error = %chain(&error), "cannot remove a container");
                    sleep(AGAIN).await;
                }
            });
        }
        removals.join_all().await;
    }

    async fn left(&self) -> Result<Vec<Container>, EngineError> {
        // Whoever makes a container of an image of ours gets the image's labels with it, but not those of instances.
        let node = format!("{NODE_LABEL}={}", self.node);
        let mut left = self.engine.containers(&[&node, INSTANCE_LABEL]).await?;
        left.retain(|container| container.label(PROCESS_LABEL) != Some(&self.process));
        Ok(left)
    }

    /// What tells a container as ours.
    pub(crate) fn labels<const N: usize>(&self, others: [(&str, &str); N]) -> BTreeMap<String, String> {
        let own = [(NODE_LABEL, self.node.as_str()), (PROCESS_LABEL, self.process.as_str())];
        own.into_iter().chain(others).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Removes whatever has a volume, by the volume's own name: nodes may have been named anew, and engines exchanged.
    async fn free(&self, volume: &VolumeRow, noted: &str) -> anyhow::Result<()> {
        let about = self.engine.about().await?;
        // A note without an engine was never followed by a container.
        if !noted.is_empty() && about.id != noted {
            bail!("it is one of the Docker engine {noted}, and [docker] socket leads to the engine {}", about.id);
        }
        let label = volume_label(volume);
        for container in self.engine.containers(&[&label, INSTANCE_LABEL]).await? {
            tracing::info!(container.id = container.id(), volume.id = %volume.id, "removing what has a volume");
            container.remove().await?;
        }
        Ok(())
    }
}

impl Worker {
    /// Sees to it that a volume, taken by the caller, is had by no container of an earlier process, which could not keep its lock.
    ///
    /// # Errors
    /// When that cannot be known: the engine does not answer, or is named no more.
    pub(crate) async fn free_of_containers(&self, volume: &VolumeRow) -> anyhow::Result<()> {
        let Some(noted) = self.volumes.contained(volume)? else { return Ok(()) };
        let (name, note) = (&volume.name, self.volumes.note(volume));
        let containers = self.containers.as_ref().with_context(|| {
            format!(
                "a container may still have `{name}`, and no engine is named to ask: [docker] socket in config.toml (or, once none has it, remove {})",
                note.display()
            )
        })?;
        let freed = containers.free(volume, &noted).await;
        freed.with_context(|| format!("a container may still have `{name}`, noted in {}", note.display()))?;
        Ok(self.volumes.forget_contained(volume)?)
    }
}
