use serde::{Deserialize, Serialize};

use crate::{JobId, Timestamp};

/// A piece of leased work.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    /// The job's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: JobId,
    /// `build`, `deploy` or `commit`.
    pub kind: String,
    /// The deployment or app it is about.
    pub subject: String,
    /// `ready`, `leased` or `dead`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u64,
    /// How the last attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was queued.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
}

/// `GET /v1/jobs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobList {
    /// Newest first.
    pub jobs: Vec<Job>,
}

/// `POST /v1/gc`: what a clean-up did.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CleanedUp {
    /// Deployments forgotten.
    pub deployments: u64,
    /// Blobs removed.
    pub blobs: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// Bytes still stored.
    pub bytes_left: u64,
}
