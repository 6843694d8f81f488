//! Where requests go: for each app, which deployment is live and which are kept.

use serde::{Deserialize, Serialize};

use crate::{AppName, DeploymentId, Digest, Timestamp};

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
}

/// A deployment that can be served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedDeployment {
    /// Its id, also its host name.
    pub id: DeploymentId,
    /// The digest of its artifact, a [`crate::site::Site`] as JSON.
    pub artifact: Digest,
    /// When another took its place as what is live; `None` if it is live, or never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Timestamp>,
}

impl RoutedDeployment {
    /// A deployment that nothing took the place of.
    pub const fn new(id: DeploymentId, artifact: Digest) -> Self {
        Self { id, artifact, replaced: None }
    }
}
