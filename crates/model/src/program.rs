//! What a deployment runs, where it is no site: the artifact of a program.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Where a program's files lie, in its build and in every instance.
pub const ROOT: &str = "/work";

/// The artifact of a deployment that runs. Its digest (of this document as JSON) names the artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The digest of the list of its files, a [`crate::Manifest`] as JSON. Instances see them at [`ROOT`].
    pub files: Digest,
    /// The folder its processes start in, relative to [`ROOT`]; empty for that itself.
    pub folder: String,
    /// The command that answers requests on `PORT`, for a shell inside the sandbox.
    pub web: String,
    /// A command that runs once before a deployment's first instance; where it fails, the deployment is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Other processes of a Procfile, by their name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, String>,
    /// Folders before those of the system in `PATH`, as paths inside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// Variables from `skylift.toml`. Those of the app's owner, which are secrets, are not here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The exact version of Node that it was built with, where it needs Node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Where health is asked for; without it any HTTP answer will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_path: Option<String>,
}
