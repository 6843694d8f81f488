//! Deployments: made from an upload, a Git repository or an archive; looked at, cancelled, rolled back to.

use std::path::Path;

use skylift_model::wire::{CreateDeployment, Deployment, DeploymentList, GitSource, RollBack};
use skylift_model::{AppName, DeploymentId, UploadId};

use crate::archive::ArchiveKind;
use crate::request::{Call, Content};
use crate::upload::OnSent;
use crate::{Client, ClientError};

impl Client {
    /// Deploys a complete upload; `dir` is the folder in it that holds the project.
    pub async fn deploy_upload(
        &self,
        app: &AppName,
        upload: &UploadId,
        dir: Option<&str>,
    ) -> Result<Deployment, ClientError> {
        let body = CreateDeployment { upload: Some(upload.clone()), git: None, dir: dir.map(str::to_owned) };
        self.json(Call::post(deployments_of(app)).json(&body)).await
    }

    /// Deploys a Git repository, which the server clones.
    pub async fn deploy_git(
        &self,
        app: &AppName,
        git: GitSource,
        dir: Option<&str>,
    ) -> Result<Deployment, ClientError> {
        let body = CreateDeployment { upload: None, git: Some(git), dir: dir.map(str::to_owned) };
        self.json(Call::post(deployments_of(app)).json(&body)).await
    }

    /// Deploys an archive, streamed from its file.
    pub async fn deploy_archive(
        &self,
        app: &AppName,
        archive: &Path,
        kind: ArchiveKind,
        dir: Option<&str>,
        on_sent: OnSent,
    ) -> Result<Deployment, ClientError> {
        let unreadable = |source| ClientError::ReadFile { path: archive.to_owned(), source };
        let size = tokio::fs::metadata(archive).await.map_err(unreadable)?.len();
        let path = match dir {
            Some(dir) => format!("{}?dir={}", deployments_of(app), super::files::encoded(dir)),
            None => deployments_of(app),
        };
        let media_type = kind.media_type();
        self.json(Call::post(path).content(Content::File { path: archive.to_owned(), size, media_type, on_sent })).await
    }

    /// One deployment as it is at this moment.
    pub async fn deployment(&self, id: &DeploymentId) -> Result<Deployment, ClientError> {
        self.json(Call::get(format!("/v1/deployments/{id}"))).await
    }

    /// An app's deployments, newest first.
    pub async fn deployments(&self, app: &AppName) -> Result<Vec<Deployment>, ClientError> {
        self.json::<DeploymentList>(Call::get(deployments_of(app))).await.map(|list| list.deployments)
    }

    /// Every app's deployments, newest first.
    pub async fn all_deployments(&self) -> Result<Vec<Deployment>, ClientError> {
        self.json::<DeploymentList>(Call::get("/v1/deployments")).await.map(|list| list.deployments)
    }

    /// Stops a deployment that is not live yet, and frees its place in the queue.
    pub async fn cancel(&self, id: &DeploymentId) -> Result<Deployment, ClientError> {
        self.json(Call::post(format!("/v1/deployments/{id}/cancel"))).await
    }

    /// Makes an earlier deployment live again: the given one, or what was live before.
    pub async fn roll_back(&self, app: &AppName, to: Option<&DeploymentId>) -> Result<Deployment, ClientError> {
        let body = RollBack { deployment: to.cloned() };
        self.json(Call::post(format!("/v1/apps/{app}/rollback")).json(&body)).await
    }
}

fn deployments_of(app: &AppName) -> String {
    format!("/v1/apps/{app}/deployments")
}
