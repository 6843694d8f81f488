//! Containers: made, started, listened to, waited for, told to end, removed.
//!
//! ```text
//! created ──▶ attached ──▶ started ──▶ ended ──▶ removed
//! ```
//!
//! Held as an instance is: no network but its own loopback, no capability, no way to more privileges, limits for memory, CPU
//! and processes, an init that is not the app's own, and no folder of the host's but those that it is to have.

mod order;

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::Method;
use serde::Deserialize;

use crate::attach::Attached;
use crate::engine::{Ask, Engine, EngineError};

pub use order::{Bind, Order};

/// A container by its id.
#[derive(Clone, Debug)]
pub struct Container {
    engine: Engine,
    id: String,
    /// Where it was listed.
    labels: BTreeMap<String, String>,
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What its first process exited with; 128 and the signal's number where a signal ended it.
    pub code: i32,
    /// Something in it was killed because the memory limit was met.
    pub out_of_memory: bool,
}

/// What a container is doing.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    pub running: bool,
    /// Its first process, on the host; 0 where it does not run.
    pub pid: u32,
    exit_code: i32,
    #[serde(rename = "OOMKilled")]
    out_of_memory: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    state: State,
    /// Below 0 where the engine could not count.
    #[serde(default)]
    size_rw: i64,
    #[serde(default)]
    graph_driver: GraphDriver,
    #[serde(default)]
    hosts_path: PathBuf,
    #[serde(default)]
    hostname_path: PathBuf,
    #[serde(default)]
    resolv_conf_path: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    #[serde(default)]
    data: Option<Layers>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Layers {
    #[serde(default)]
    upper_dir: Option<PathBuf>,
}

/// Where on this machine lies what a container writes.
#[derive(Clone, Debug)]
pub struct OwnFiles {
    /// Its layer, where the engine has it as a folder.
    pub layer: Option<PathBuf>,
    /// Files beside the layer that it may write, too.
    pub beside: [PathBuf; 3],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    id: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Engine {
    /// Makes a container, which does not run yet.
    ///
    /// # Errors
    /// [`EngineError`]; [`EngineError::is_missing`] where the image is not there.
    pub async fn create(&self, order: &Order) -> Result<Container, EngineError> {
        let Named { id, labels } = self.json(Ask::post("/containers/create").json(&order.document())).await?;
        Ok(Container { engine: self.clone(), id, labels })
    }

    /// All containers with all of some labels, whatever they are doing.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn containers(&self, labels: &[&str]) -> Result<Vec<Container>, EngineError> {
        let filters = serde_json::json!({ "label": labels });
        let ask = Ask::get("/containers/json").with("all", 1).with("filters", filters);
        let named: Vec<Named> = self.json(ask).await?;
        let container = |Named { id, labels }| Container { engine: self.clone(), id, labels };
        Ok(named.into_iter().map(container).collect())
    }
}

impl Container {
    /// The engine's own name for it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What a label of it says, where it was listed.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// The engine that has it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What it prints from here on. Before it starts, so that nothing is missed.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn attach(&self) -> Result<Attached, EngineError> {
        let ask = self.post("attach").with("stream", 1).with("stdout", 1).with("stderr", 1);
        Ok(Attached::to(self.engine.stream(ask).await?))
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`EngineError`], also where its command cannot be run.
    pub async fn start(&self) -> Result<(), EngineError> {
        self.engine.done(self.post("start")).await
    }

    /// What it is doing.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn state(&self) -> Result<State, EngineError> {
        let Inspected { state, .. } = self.engine.json(Ask::get(self.path("json"))).await?;
        Ok(state)
    }

    /// How many bytes it has written to files of its own; `None` where they cannot be counted. Costs the engine a walk over them.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn written_bytes(&self) -> Result<Option<u64>, EngineError> {
        let Inspected { size_rw, .. } = self.engine.json(Ask::get(self.path("json")).with("size", 1)).await?;
        Ok(u64::try_from(size_rw).ok())
    }

    /// Where what it writes lies.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn own_files(&self) -> Result<OwnFiles, EngineError> {
        let Inspected { graph_driver, hosts_path, hostname_path, resolv_conf_path, .. } =
            self.engine.json(Ask::get(self.path("json"))).await?;
        let layer = graph_driver.data.and_then(|layers| layers.upper_dir);
        Ok(OwnFiles { layer, beside: [hosts_path, hostname_path, resolv_conf_path] })
    }

    /// Waits for the end of one that was started.
    ///
    /// # Errors
    /// [`EngineError`], as soon as the engine is gone.
    pub async fn ended(&self) -> Result<Ended, EngineError> {
        let mut waiting = self.engine.stream(self.post("wait").with("condition", "not-running")).await?;
        waiting.text().await?;
        let State { exit_code, out_of_memory, .. } = self.state().await?;
        Ok(Ended { code: exit_code, out_of_memory })
    }

    /// Sends a signal to its init, which hands it on. After the end does nothing.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn signal(&self, signal: &str) -> Result<(), EngineError> {
        match self.engine.done(self.post("kill").with("signal", signal)).await {
            Err(error) if error.is_missing() || error.is_conflict() => Ok(()),
            signalled => signalled,
        }
    }

    /// Kills what runs in it and removes it with all it has written; returns once nothing of it is left. May be repeated.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn remove(&self) -> Result<(), EngineError> {
        let ask = Ask::new(Method::DELETE, format!("/containers/{}", self.id)).with("force", 1).with("v", 1);
        match self.engine.done(ask).await {
            Err(error) if error.is_missing() => Ok(()),
            // Somebody else is removing it.
            Err(error) if error.is_conflict() => self.removed().await,
            removed => removed,
        }
    }

    async fn removed(&self) -> Result<(), EngineError> {
        match self.engine.done(self.post("wait").with("condition", "removed")).await {
            Err(error) if error.is_missing() => return Ok(()),
            waited => waited?,
        }
        // The engine says the same where it could not be removed.
        match self.state().await {
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(EngineError::StillThere),
        }
    }

    fn post(&self, action: &str) -> Ask {
        Ask::post(self.path(action))
    }

    fn path(&self, action: &str) -> String {
        format!("/containers/{}/{action}", self.id)
    }
}
