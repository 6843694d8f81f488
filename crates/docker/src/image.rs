//! Images: built from a source, looked at, listed by their label, removed.

mod made;
mod progress;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::answer::Answer;
use crate::body::Body;
use crate::engine::{Ask, Engine, EngineError};
use progress::Messages;

pub use made::Made;
pub use progress::Progress;

/// How often, and after how long, an image that is in use is tried to be removed again.
const TRIES: u32 = 50;
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// The classic builder counts CPU in shares of this many microseconds.
const CPU_PERIOD_US: u64 = 100_000;

/// What is to be built. Commands of the Dockerfile run without any network.
#[derive(Clone, Debug)]
pub struct BuildOrder {
    /// Its name for people, such as `skylift/shop:d-1`.
    pub tag: String,
    /// The Dockerfile's path in the source.
    pub dockerfile: String,
    pub labels: BTreeMap<String, String>,
    /// Of one command, in bytes; no swap on top.
    pub memory_bytes: u64,
    /// Thousandths of a CPU.
    pub cpu_millicores: u32,
}

/// A build that goes on for as long as this is kept; dropping it ends it.
pub struct Building {
    answer: Answer,
    messages: Messages,
    made: Made,
}

/// What an image says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Inspected")]
pub struct Image {
    /// The digest of its configuration: `sha256:…`.
    pub id: String,
    /// Whether it has a name besides.
    pub has_name: bool,
    pub bytes: u64,
    /// The user it names, if any.
    pub user: Option<String>,
    /// Whether it says what to start.
    pub has_command: bool,
    /// The TCP ports that it says it listens on.
    pub tcp_ports: Vec<u16>,
    /// Folders that are to be volumes.
    pub volumes: Vec<String>,
    /// What asks it to end, where that is not SIGTERM.
    pub stop_signal: Option<String>,
}

/// One of a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StoredImage {
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

impl Engine {
    /// Builds an image of a source, which comes as pieces of a tar archive. `made` hears what there is to be forgotten when it
    /// is over, however it ends.
    ///
    /// # Errors
    /// [`EngineError`], where the engine does not begin. What fails later is a [`Progress`].
    pub async fn build(
        &self,
        order: &BuildOrder,
        source: mpsc::Receiver<io::Result<Bytes>>,
        made: Made,
    ) -> Result<Building, EngineError> {
        let labels = serde_json::to_string(&order.labels)?;
        let ask = Ask::post("/build")
            .with("t", &order.tag)
            .with("dockerfile", &order.dockerfile)
            .with("labels", labels)
            .with("networkmode", "none")
            .with("rm", 1)
            .with("forcerm", 1)
            .with("memory", order.memory_bytes)
            .with("memswap", order.memory_bytes)
            .with("cpuperiod", CPU_PERIOD_US)
            .with("cpuquota", u64::from(order.cpu_millicores) * CPU_PERIOD_US / 1000);
        let answer = self.stream(ask.tar(Body::Stream(source))).await?;
        Ok(Building { answer, messages: Messages::default(), made })
    }

    /// Removes what a build has made on its way and nothing is made of.
    ///
    /// Where the build was given up, its container is there for a moment longer, and an image in use is tried again; else what is in use is
    /// what the result is made of.
    pub async fn forget(&self, made: &Made, is_given_up: bool) {
        let tries = if is_given_up { TRIES } else { 1 };
        for id in made.ids() {
            // Removing one removes those it was made of, too; what has a name has somebody who needs it.
            if self.image(&id).await.is_ok_and(|image| !image.has_name) {
                self.forget_one(&id, tries).await;
            }
        }
    }

    async fn forget_one(&self, id: &str, tries: u32) {
        for _ in 0..tries {
            let ask = Ask::new(Method::DELETE, format!("/images/{id}"));
            match self.json::<serde_json::Value>(ask).await {
                Err(error) if error.is_conflict() => sleep(TRY_AGAIN).await,
                _ => return,
            }
        }
    }

    /// Looks at an image.
    ///
    /// # Errors
    /// [`EngineError`]; [`EngineError::is_missing`] where the engine has none of this name or id.
    pub async fn image(&self, name: &str) -> Result<Image, EngineError> {
        self.json(Ask::get(format!("/images/{name}/json"))).await
    }

    /// All images with a label.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn images(&self, label: &str) -> Result<Vec<StoredImage>, EngineError> {
        let filters = serde_json::json!({ "label": [label] });
        self.json(Ask::get("/images/json").with("filters", filters)).await
    }

    /// Removes an image with all its names. One that is not there is gone already.
    ///
    /// # Errors
    /// [`EngineError`]; [`EngineError::is_conflict`] while a container runs it.
    pub async fn remove_image(&self, id: &str) -> Result<(), EngineError> {
        let removed =
            self.json::<serde_json::Value>(Ask::new(Method::DELETE, format!("/images/{id}")).with("force", 1));
        match removed.await {
            Err(error) if error.is_missing() => Ok(()),
            removed => removed.map(drop),
        }
    }
}

impl Building {
    /// What it says next; `None` at its end.
    ///
    /// # Errors
    /// Where the engine breaks off or says what nobody understands.
    pub async fn next(&mut self) -> Result<Option<Progress>, EngineError> {
        loop {
            if let Some(progress) = self.messages.next()? {
                if let Progress::Text(text) = &progress {
                    self.made.hear(text);
                }
                return Ok(Some(progress));
            }
            match self.answer.next().await? {
                Some(piece) => self.messages.feed(&piece),
                None => return Ok(None),
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    size: u64,
    config: Option<Config>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    user: Option<String>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
    stop_signal: Option<String>,
}

impl From<Inspected> for Image {
    fn from(Inspected { id, repo_tags, size, config }: Inspected) -> Self {
        let Config { user, entrypoint, cmd, exposed_ports, volumes, stop_signal } = config.unwrap_or_default();
        let says = |words: Option<Vec<String>>| words.is_some_and(|words| !words.is_empty());
        let port = |name: String| name.strip_suffix("/tcp")?.parse().ok();
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            id,
            has_name: repo_tags.is_some_and(|names| !names.is_empty()),
            bytes: size,
            user: said(user),
            has_command: says(entrypoint) | says(cmd),
            tcp_ports: exposed_ports.unwrap_or_default().into_keys().filter_map(port).collect(),
            volumes: volumes.unwrap_or_default().into_keys().collect(),
            stop_signal: said(stop_signal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_says_is_read_and_what_it_leaves_out_is_nothing() {
        let text = r#"{"Id":"sha256:ab","Size":7,"Config":{"User":"","Entrypoint":null,"Cmd":["/serve"],
            "ExposedPorts":{"80/tcp":{},"53/udp":{}},"Volumes":{"/data":{}},"StopSignal":"SIGQUIT"}}"#;
        let image: Image = serde_json::from_str(text).unwrap();
        assert_eq!((image.user, image.has_command, image.tcp_ports), (None, true, vec![80]));
        assert_eq!((image.volumes, image.stop_signal.as_deref()), (vec!["/data".to_owned()], Some("SIGQUIT")));
        let image: Image = serde_json::from_str(r#"{"Id":"sha256:ab","Config":{"Cmd":[]}}"#).unwrap();
        assert_eq!((image.has_command, image.stop_signal, image.bytes), (false, None, 0));
    }
}
