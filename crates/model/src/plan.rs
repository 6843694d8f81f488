//! What will be done with a source: the plan that detection makes and a builder follows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Link;
use crate::app_json::AppJson;
use crate::health::HealthChecks;
use crate::net::NetRules;
use crate::program::Protocol;
use crate::rollout::RolloutSettings;
use crate::site::SiteSettings;
use crate::wire::Scaling;

/// What kind of project a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ProjectKind {
    /// Files served as they are.
    Static,
    /// A Node project whose build leaves static files.
    NodeStatic,
    /// A Node project that listens on a port.
    NodeServer,
    /// A Python app.
    Python,
    /// A Rust program.
    Rust,
    /// A Go program.
    Go,
    /// Processes named by a Procfile.
    Procfile,
    /// An image built from a Dockerfile.
    Dockerfile,
}

impl ProjectKind {
    /// Whether the result is files to serve rather than a process to run.
    pub const fn is_static(self) -> bool {
        matches!(self, Self::Static | Self::NodeStatic)
    }
}

/// A Node package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PackageManager {
    Npm,
    Pnpm,
    Yarn,
    Bun,
}

impl PackageManager {
    /// The command's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn => "yarn",
            Self::Bun => "bun",
        }
    }
}

/// What to do with a source. Every field is decided before anything runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plan {
    /// What kind of project it is.
    pub kind: ProjectKind,
    /// The framework recognised, such as `vite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    /// The folder the project lies in, relative to the source; empty for the source itself.
    pub root: String,
    /// The folder, relative to the source, where dependencies are installed: the root, or the workspace above it.
    pub install_root: String,
    /// What runs Node's packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_manager: Option<PackageManager>,
    /// The version of it that the project pins, exact or a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_manager_version: Option<String>,
    /// The range of Node versions that the project pins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Installs dependencies, run in `install_root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
    /// Builds, run in `root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// Tests, run in `root` after the build; their failure fails the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Starts what answers requests, run in `root`; for projects that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Runs once before the first instance of a deployment, in `root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Other processes of a Procfile, by their name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, String>,
    /// Where health is asked for; without it any HTTP answer will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_path: Option<String>,
    /// How it is asked whether it is still healthy.
    #[serde(default, skip_serializing_if = "HealthChecks::is_default")]
    pub health: HealthChecks,
    /// What it speaks on `PORT`.
    #[serde(default, skip_serializing_if = "Protocol::is_default")]
    pub protocol: Protocol,
    /// Whether a visitor stays with the instance that answered first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sticky: bool,
    /// The name of the instance type that its instances are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// How many instances there are to be, where its owner says nothing by command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scaling>,
    /// How it takes the place of what is live.
    #[serde(default, skip_serializing_if = "RolloutSettings::is_default")]
    pub rollout: RolloutSettings,
    /// What else its instances may reach, in the order of `skylift.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Rules for its network, from `skylift.toml`.
    #[serde(default, skip_serializing_if = "NetRules::is_empty")]
    pub net: NetRules,
    /// The folder with the result, relative to `root`; empty for `root` itself.
    pub output: String,
    /// How the result is served.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub site: SiteSettings,
    /// Variables for the build from `skylift.toml`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What `app.json` says that has no place above.
    #[serde(default, skip_serializing_if = "AppJson::is_empty")]
    pub app_json: AppJson,
    /// Where each decision came from, in the order they were made.
    pub decisions: Vec<Decision>,
}

/// One decision of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    /// What was decided, such as `package manager`.
    pub what: String,
    /// What for, such as `pnpm`.
    pub value: String,
    /// The file (and field) it came from, such as `pnpm-lock.yaml`, or `default`.
    pub from: String,
}
