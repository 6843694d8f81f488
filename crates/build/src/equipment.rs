//! What this node brings to builds: how its package managers are set up, and its Node.
//!
//! Its programs are asked, which takes a good part of a second. So they are asked once, by the first build that runs a
//! command: a platform whose sites need none never starts them. An instance waits for its Node alone: package managers take many times
//! as long to answer, and after a restart nothing serves before the first instance does.

use std::path::PathBuf;

use skylift_model::Program;
use tokio::sync::OnceCell;
use tokio::task::JoinError;

use crate::cell::CellError;
use crate::client::Client;
use crate::settings::ClientSettings;
use crate::toolchain::{ToolError, Toolchains, Tools};

/// What was found.
pub struct Found<'e> {
    pub client: &'e Client,
    pub toolchains: &'e Toolchains,
}

/// What is found when it is first needed.
pub struct Equipment {
    settings: ClientSettings,
    folder: PathBuf,
    client: OnceCell<Client>,
    toolchains: OnceCell<Toolchains>,
}

impl Equipment {
    /// Nothing is asked yet. Fetched tools are kept in the folder `toolchains`.
    pub fn new(settings: ClientSettings, toolchains: PathBuf) -> Self {
        Self { settings, folder: toolchains, client: OnceCell::new(), toolchains: OnceCell::new() }
    }

    /// Asks, unless somebody has or is about to; then waits for that.
    ///
    /// # Errors
    /// When the platform is shutting down.
    pub async fn found(&self) -> Result<Found<'_>, JoinError> {
        let (client, toolchains) = tokio::try_join!(self.client(), self.toolchains())?;
        Ok(Found { client, toolchains })
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
        let toolchains = self.toolchains().await.map_err(|_| CellError::Interrupted)?;
        toolchains.runtime(program)
    }

    // Off the runtime's own threads.
    async fn client(&self) -> Result<&Client, JoinError> {
        let settings = &self.settings;
        let ask = || {
            let settings = settings.clone();
            tokio::task::spawn_blocking(move || Client::discover(&settings))
        };
        self.client.get_or_try_init(ask).await
    }

    async fn toolchains(&self) -> Result<&Toolchains, JoinError> {
        let ask = || {
            let folder = self.folder.clone();
            tokio::task::spawn_blocking(move || Toolchains::discover(folder))
        };
        self.toolchains.get_or_try_init(ask).await
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
        assert!(!equipment.client.initialized() && !equipment.toolchains.initialized(), "not before it is needed");
        equipment.toolchains().await.unwrap();
        assert!(!equipment.client.initialized(), "an instance waits for no package manager");
        let (first, second) = tokio::join!(equipment.found(), equipment.found());
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(std::ptr::eq(first.client, second.client) && std::ptr::eq(first.toolchains, second.toolchains));
        assert_eq!(first.client.env["npm_config_registry"], "https://npm.example/");
    }
}
