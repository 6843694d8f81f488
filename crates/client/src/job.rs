//! Jobs as the API shows them.

use serde::{Deserialize, Serialize};
use skylift_model::{AppName, DeploymentId, JobId, Timestamp};

/// `GET /v1/jobs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobList {
    /// Newest first.
    pub jobs: Vec<Job>,
}

/// One piece of leased work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The job's id.
    pub id: JobId,
    /// `build`, `deploy`, `commit` or `cleanup`.
    pub kind: String,
    /// `ready`, `leased` or `dead`.
    pub state: String,
    /// The app it works for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// The deployment it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
    /// How often it was tried.
    #[serde(default)]
    pub attempts: u32,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

/// `POST /v1/gc`: what one clean-up removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GcReport {
    /// How many deployments were removed.
    pub deployments: u64,
    /// How many stored objects were removed.
    pub blobs: u64,
    /// How many bytes that freed.
    pub freed_bytes: u64,
}
