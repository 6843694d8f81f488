use serde::{Deserialize, Serialize};

use crate::{AppName, DeploymentId, Timestamp};

/// `POST /v1/apps`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateApp {
    /// The app's name, `[a-z][a-z0-9-]{0,39}`; it becomes its host name.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "hello"))]
    pub name: AppName,
}

/// What a user owns: a name, its deployments, its environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct App {
    /// The app's name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: AppName,
    /// Where what is live answers.
    pub url: String,
    /// The deployment that is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub live: Option<DeploymentId>,
    /// How often what is live has changed.
    pub generation: u64,
    /// When the app was created.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
}

/// `GET /v1/apps`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppList {
    /// Every app, by name.
    pub apps: Vec<App>,
}
