//! What a deployment runs, where it is no site: the artifact of a program.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::net::NetRules;
use crate::{Digest, Link};

/// Where a source lies in its build, and a program in every instance: what is built may hold its own path, as environments of
/// Python do.
pub const ROOT: &str = "/app";

/// The process that answers requests.
pub const WEB: &str = "web";
/// The process that runs once before a deployment's first instance.
pub const RELEASE: &str = "release";

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
    /// Variables from `app.json`, which count where a link or anybody else gives no other value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, String>,
    /// Variables from `skylift.toml`. Those of the app's owner, which are secrets, are not here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The exact version of Node that it was built with, where it needs Node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The image that it is, by the digest that the Docker engine names it by (`sha256:…`). It has no [`Self::files`] then,
    /// and starts as the image says where [`Self::web`] is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where health is asked for; without it any HTTP answer will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_path: Option<String>,
    /// What it speaks on `PORT`.
    #[serde(default, skip_serializing_if = "Protocol::is_default")]
    pub protocol: Protocol,
    /// What else its instances may reach, in the order of `skylift.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Rules for its network, from `skylift.toml`.
    #[serde(default, skip_serializing_if = "NetRules::is_empty")]
    pub net: NetRules,
}

/// What a program speaks to those who ask it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, by prior knowledge, as servers of gRPC do.
    H2c,
}

impl Protocol {
    /// Its name, as in `skylift.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::H2c => "h2c",
        }
    }

    /// Whether it is what nobody has to say.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
