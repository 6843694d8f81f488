//! Where requests go: for each app, which deployment is live and which are kept.

use serde::{Deserialize, Serialize};

use crate::net::InRule;
use crate::program::Protocol;
use crate::{AppName, DeploymentId, Digest, InstanceId, Timestamp};

/// The routes of one app at one generation. What the edge needs to know, and all it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRoutes {
    /// The app.
    pub app: AppName,
    /// Counts every change of what is live; routes with a lower generation are stale.
    pub generation: u64,
    /// What the app's own host name leads to.
    pub live: Option<DeploymentId>,
    /// Every deployment that has an artifact and is kept, newest first; each has a host name of its own.
    pub deployments: Vec<RoutedDeployment>,
    /// The instances of those deployments that run; none for sites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<RoutedInstance>,
    /// Whether its owner has stopped it: no instance will come, however long a request waits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// The version that has a share of the app's requests for itself, while it is rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<RoutedShare>,
    /// Whose requests it takes, by the first rule that fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub net_in: Vec<InRule>,
}

/// A share of an app's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedShare {
    /// Whose it is.
    pub deployment: DeploymentId,
    /// In hundredths of a percent.
    pub hundredths: u16,
}

/// An instance that answers, or finishes what it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedInstance {
    /// Its id.
    pub id: InstanceId,
    /// The deployment it runs.
    pub deployment: DeploymentId,
    /// The node it runs on.
    pub node: String,
    /// Whether the app's own host name leads to it; else only its deployment's does.
    pub serving: bool,
    /// Whether it is about to be stopped: it gets nothing new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    /// Whether checks fail: it is asked only where too few others are left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unhealthy: bool,
}

/// A deployment that can be served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedDeployment {
    /// Its id, also its host name.
    pub id: DeploymentId,
    /// The digest of its artifact: a [`crate::site::Site`] or, where it runs, a [`crate::Program`], as JSON.
    pub artifact: Digest,
    /// When another took its place as what is live; `None` if it is live, or never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Timestamp>,
    /// Whether it runs: its artifact is a [`crate::Program`] and not a site.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub runs: bool,
    /// What it speaks, where it runs.
    #[serde(default, skip_serializing_if = "Protocol::is_default")]
    pub protocol: Protocol,
    /// Whether who was answered by one of its instances is answered by the same one, as long as that is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sticky: bool,
}

impl RoutedDeployment {
    /// A deployment that nothing took the place of.
    pub const fn new(id: DeploymentId, artifact: Digest) -> Self {
        Self { id, artifact, replaced: None, runs: false, protocol: Protocol::Http1, sticky: false }
    }
}
