//! A container that is removed when it is let go, and the volumes that it has for as long as it is there.

use std::time::Duration;

use skylift_docker::{Container, EngineError};
use skylift_model::chain;
use tokio::time::{sleep, timeout};

use crate::instance::data::Taken;

/// How long to wait before the engine is asked again, and how often it is at once.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const TRIES: u32 = 20;
/// How long to wait from then on, where volumes depend on it.
const ASK_SELDOM: Duration = Duration::from_secs(10);

/// A container that is removed when it is dropped.
pub(super) struct Held {
    container: Container,
    /// `None` once somebody removes it.
    taken: Option<Taken>,
}

impl Held {
    /// One that has these volumes.
    pub(super) fn new(container: Container, taken: Taken) -> Self {
        Self { container, taken: Some(taken) }
    }

    pub(super) fn container(&self) -> &Container {
        &self.container
    }

    /// Returns once it is gone, or once that takes too long for anybody to wait.
    pub(super) async fn remove(mut self) {
        if let Some(taken) = self.taken.take() {
            let _ = timeout(ASK_AGAIN * TRIES, tokio::spawn(remove(self.container.clone(), taken))).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            tokio::spawn(remove(self.container.clone(), taken));
        }
    }
}

/// Insists for a while; what is left then is found by its label when the platform starts again. Volumes that it has are kept from
/// everybody until it is known to be gone, however long that takes.
async fn remove(container: Container, taken: Taken) {
    let mut tries = 0;
    loop {
        match is_removed(&container, &taken).await {
            Ok(true) => return taken.free(),
            Ok(false) => {
                tracing::warn!(
                    container.id = container.id(),
                    "another Docker engine answers now, which has no say about a volume"
                );
            }
            Err(error) => {
                tracing::warn!(container.id = container.id(), error = %chain(&error), "cannot remove a container");
            }
        }
        tries += 1;
        match (tries < TRIES, taken.is_empty()) {
            (true, _) => sleep(ASK_AGAIN).await,
            (false, true) => return,
            (false, false) => sleep(ASK_SELDOM).await,
        }
    }
}

/// Whether it is gone, by the word of the engine that had it.
async fn is_removed(container: &Container, taken: &Taken) -> Result<bool, EngineError> {
    container.remove().await?;
    match taken.engine() {
        Some(engine) => Ok(container.engine().about().await?.id == engine),
        None => Ok(true),
    }
}
