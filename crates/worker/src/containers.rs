//! The engine that runs images on this node, and what an earlier process left there.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use skylift_docker::{Engine, EngineError};
use skylift_model::chain;
use skylift_store::VolumeRow;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::worker::Worker;

/// How long other instances wait for an engine that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Names the node that a container or an image belongs to.
pub const NODE_LABEL: &str = "skylift.node";
pub(crate) const APP_LABEL: &str = "skylift.app";
pub(crate) const DEPLOYMENT_LABEL: &str = "skylift.deployment";
pub(crate) const INSTANCE_LABEL: &str = "skylift.instance";

/// The label of a container that has a volume.
pub(crate) fn volume_label(volume: &VolumeRow) -> String {
    format!("skylift.volume.{}", volume.id)
}

/// The containers of one node.
#[derive(Debug)]
pub struct Containers {
    engine: Engine,
    node: String,
    swept: OnceCell<()>,
}

impl Containers {
    /// Those that `engine` runs for the node of this name.
    pub fn new(engine: Engine, node: String) -> Self {
        Self { engine, node, swept: OnceCell::new() }
    }

    /// The engine, once nothing of an earlier process is left there.
    pub(crate) async fn engine(&self) -> Result<&Engine, EngineError> {
        self.swept.get_or_try_init(|| self.sweep()).await?;
        Ok(&self.engine)
    }

    /// Removes what an earlier process left. Where the engine is away, the first instance tries again.
    pub(crate) async fn sweep_early(&self) {
        let error = match timeout(PATIENCE, self.engine()).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => chain(&error),
            Err(_) => "the engine does not answer".to_owned(),
        };
        tracing::warn!(error, "cannot look for containers that an earlier process left");
    }

    /// What tells a container as ours.
    pub(crate) fn labels<const N: usize>(&self, others: [(&str, &str); N]) -> BTreeMap<String, String> {
        let own = [(NODE_LABEL, self.node.as_str())];
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

    async fn sweep(&self) -> Result<(), EngineError> {
        // Whoever makes a container of an image of ours gets the image's labels with it, but not those of instances.
        let node = format!("{NODE_LABEL}={}", self.node);
        for container in self.engine.containers(&[&node, INSTANCE_LABEL]).await? {
            tracing::info!(container.id = container.id(), "removing a container that an earlier process left");
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
