//! Where requests go: for each app, which deployment is live and which are kept.

use serde::{Deserialize, Serialize};

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
}

impl RoutedDeployment {
    /// A deployment that nothing took the place of.
    pub const fn new(id: DeploymentId, artifact: Digest) -> Self {
        Self { id, artifact, replaced: None, runs: false }
    }
}
