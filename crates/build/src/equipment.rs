//! What this node brings to builds: how its package managers are set up, and its Node.
//!
//! Its programs are asked, which takes a good part of a second. So they are asked once, by the first build that runs a
//! command: a platform whose sites need none never starts them.

use std::path::PathBuf;

use skylift_model::Program;
use tokio::sync::OnceCell;
use tokio::task::JoinError;

use crate::cell::CellError;
use crate::client::Client;
use crate::settings::ClientSettings;
use crate::toolchain::{ToolError, Toolchains, Tools};

/// What was found.
pub struct Found {
    pub client: Client,
    pub toolchains: Toolchains,
}

/// What is found when it is first needed.
pub struct Equipment {
    settings: ClientSettings,
    toolchains: PathBuf,
    found: OnceCell<Found>,
}

impl Equipment {
    /// Nothing is asked yet. Fetched tools are kept in the folder `toolchains`.
    pub fn new(settings: ClientSettings, toolchains: PathBuf) -> Self {
        Self { settings, toolchains, found: OnceCell::new() }
    }

    /// Asks, unless somebody has or is about to; then waits for that.
    ///
    /// # Errors
    /// When the platform is shutting down.
    pub async fn found(&self) -> Result<&Found, JoinError> {
        self.found.get_or_try_init(|| self.ask()).await
    }

    /// What an instance of a program sees of this node's tools: see [`Toolchains::runtime`].
    ///
    /// # Errors
    /// Where they are not here, or the platform is shutting down.
    pub async fn runtime(&self, program: &Program) -> Result<Tools, ToolError> {
        if program.node.is_none() {
            // Nothing of this node needs to be asked.
            return Ok(Tools::default());
        }
        let found = self.found().await.map_err(|_| CellError::Interrupted)?;
        found.toolchains.runtime(program)
    }

    async fn ask(&self) -> Result<Found, JoinError> {
        let (settings, toolchains) = (self.settings.clone(), self.toolchains.clone());
        // Both at once, and off the runtime's own threads.
        let client = tokio::task::spawn_blocking(move || Client::discover(&settings));
        let toolchains = tokio::task::spawn_blocking(move || Toolchains::discover(toolchains));
        Ok(Found { client: client.await?, toolchains: toolchains.await? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_asked_once_and_all_who_wait_get_the_same() {
        let settings =
            ClientSettings { npm_registry: Some("https://npm.example/".into()), ..ClientSettings::default() };
        let equipment = Equipment::new(settings, "/nowhere".into());
        assert!(equipment.found.get().is_none(), "not before it is needed");
        let (first, second) = tokio::join!(equipment.found(), equipment.found());
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(std::ptr::eq(first, second));
        assert_eq!(first.client.env["npm_config_registry"], "https://npm.example/");
    }
}
