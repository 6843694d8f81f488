//! The Docker engine for projects with a Dockerfile, `[docker]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which engine builds and runs images.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DockerSettings {
    /// The socket of an engine on this machine, such as `/var/run/docker.sock`; left out, images are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) socket: Option<PathBuf>,
}

impl DockerSettings {
    /// Every mistake, in words.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let relative = self.socket.iter().filter(|socket| !socket.is_absolute());
        relative.map(|socket| format!("[docker] socket: `{}` is not absolute", socket.display())).collect()
    }
}
