//! How a deployment takes the place of what is live.

use serde::{Deserialize, Serialize};

use crate::rollout::{RolloutSettings, RolloutState, Strategy};
use crate::{AppName, DeploymentId, Timestamp};

/// `GET /v1/apps/{app}/rollout`: the rollout that is under way, or the last; and what `POST …/rollout/{pause,resume,promote,abort}`
/// made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rollout {
    /// The app.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub app: AppName,
    /// What is rolled out.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub deployment: DeploymentId,
    /// What was live when it began, where that runs.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub old: Option<DeploymentId>,
    /// How it is done: `rolling` where nothing runs beside which it could be.
    pub strategy: Strategy,
    /// Where it is in its life.
    pub state: RolloutState,
    /// How many of a canary's steps have begun.
    pub step: u32,
    /// The share of the app's requests that the new version has for itself, in percent.
    pub share_percent: u32,
    /// When the step began.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub step_at: Option<Timestamp>,
    /// How the deployment says that it is to be rolled out.
    pub settings: RolloutSettings,
    /// How many instances the app is to have.
    pub wanted: u32,
    /// Instances of the new version that answer.
    pub ready: u32,
    /// Instances of other versions that answer.
    pub old_ready: u32,
    /// When it began.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub began_at: Timestamp,
    /// When it was over.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub ended_at: Option<Timestamp>,
    /// Why it was aborted.
    pub reason: Option<String>,
}
