use serde::{Deserialize, Serialize};

use crate::{DeploymentState, Timestamp};

/// Who wrote a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// The platform.
    System,
    /// The step's command, on its standard output.
    Stdout,
    /// The step's command, on its standard error.
    Stderr,
}

/// One line of a deployment's build log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// Counts from 1 within the deployment; the SSE event's id.
    pub seq: u64,
    /// When it was written.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// The step it belongs to.
    pub step: String,
    /// Who wrote it.
    pub stream: Stream,
    /// The text, without control characters, secrets masked.
    pub text: String,
}

/// One change in the life of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Counts from 1 within the deployment; the SSE event's id.
    pub seq: u64,
    /// When it happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// The state after it.
    pub state: DeploymentState,
    /// What happened, for people: `building: installing dependencies`.
    pub message: String,
}
