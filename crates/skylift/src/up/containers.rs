//! The Docker engine, where the owner names one: what builds use, what instances use, and which images may go.

use std::time::Duration;

use anyhow::Context;
use skylift_build::builder::ImageBuilder;
use skylift_control::cleanup::Cleanup;
use skylift_docker::Engine;
use skylift_worker::{Containers, NODE_LABEL};

use crate::config::Config;

/// An engine, and whose node's things there are ours.
#[derive(Clone)]
pub(crate) struct OwnEngine {
    engine: Engine,
    node: String,
}

impl OwnEngine {
    /// The engine of the settings.
    pub(crate) fn of(config: &Config, node: &str) -> Option<Self> {
        let socket = config.docker.socket.as_deref()?;
        Some(Self { engine: Engine::at(socket), node: node.to_owned() })
    }

    pub(crate) fn for_builds(&self) -> ImageBuilder {
        ImageBuilder { engine: self.engine.clone(), label: (NODE_LABEL.to_owned(), self.node.clone()) }
    }

    pub(crate) fn for_instances(&self) -> Containers {
        Containers::new(self.engine.clone(), self.node.clone())
    }

    /// Removes images that no deployment has any more: only those that were built here, and not before they have been there
    /// for as long as a blob that nothing names. Returns how many.
    pub(crate) async fn clean(&self, cleanup: &Cleanup, grace: Duration) -> anyhow::Result<u64> {
        let images = self.engine.images(&format!("{NODE_LABEL}={}", self.node)).await.context("list images")?;
        // Read after the images: one whose deployment came in between is kept.
        let kept = cleanup.images().await.context("tell which images are kept")?;
        let old = cleanup.clock.now().as_millis() / 1000 - i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        let mut removed = 0;
        for image in images.into_iter().filter(|image| !kept.contains(&image.id) && image.created <= old) {
            match self.engine.remove_image(&image.id).await {
                Ok(()) => removed += 1,
                // A container still runs it.
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error).context("remove an image"),
            }
        }
        Ok(removed)
    }
}
