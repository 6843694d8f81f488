use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::source::Source;
use crate::{AppName, DeploymentId, DeploymentState, Digest, FileEntry, Timestamp, UploadId};

/// `POST /v1/apps/{app}/deployments` with a JSON body: an upload or a Git source.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateDeployment {
    /// A complete upload of this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub upload: Option<UploadId>,
    /// A Git repository to clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSource>,
    /// The folder of the source that holds the project, for monorepos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
}

/// A Git repository and what to take from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GitSource {
    /// `https://…`, `ssh://…` or `user@host:path`; `http` and `file` where the owner allows them. No secrets in it.
    pub url: String,
    /// The branch or tag; the remote's default where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A token for a private https repository. Sealed, never returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A private key (OpenSSH format) for a private ssh repository. Sealed, never returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy_key: Option<String>,
}

/// Artifact and settings of one deploy. Its id exists from the request on; nothing changes once it is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Deployment {
    /// The deployment's id, also its host name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: DeploymentId,
    /// The app it belongs to.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub app: AppName,
    /// Where it is in its life.
    pub state: DeploymentState,
    /// Where this very deployment answers, for as long as it is kept.
    pub url: String,
    /// Where the app's live deployment answers.
    pub app_url: String,
    /// Where the code came from.
    pub source: Source,
    /// The folder of the source that holds the project, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// What was detected and decided, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The digest of what it serves, once built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub artifact: Option<Digest>,
    /// How many deployments are before it in the build queue, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u64>,
    /// Why it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it was asked for.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When its build began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub started_at: Option<Timestamp>,
    /// When it went live the first time, failed or was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub finished_at: Option<Timestamp>,
}

/// Why a deployment failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// The step that failed: `fetch`, `detect`, `install`, `build`, `test`, `output` or `deploy`.
    pub step: String,
    /// What happened, such as "out of memory: 2.0 of 2.0 GiB in `vite build`".
    pub message: String,
    /// The exit code of the step's command, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What to do next, where we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// `GET /v1/apps/{app}/deployments`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeploymentList {
    /// Newest first.
    pub deployments: Vec<Deployment>,
}

/// `POST /v1/apps/{app}/rollback`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// The deployment to go back to; what was live before where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub deployment: Option<DeploymentId>,
}

/// The files of a deployment's source (`output/{id}/`) or result (`build/{id}/`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileList {
    /// Sorted by path.
    pub files: Vec<FileEntry>,
}
