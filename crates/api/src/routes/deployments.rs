//! Deployments: made from an upload, a Git source or an archive; listed, cancelled, gone back to.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use serde::Deserialize;
use skylift_bus::Message;
use skylift_model::source::Source;
use skylift_model::wire::{CreateDeployment, Deployment, DeploymentList, ErrorEnvelope, GitSource, RollBack};
use skylift_model::{AppName, DeploymentId, FilePath};
use skylift_store::{Accepted, DeploymentRow, Done, NewDeployment, SentBytes, WentLive};

use super::rollout;
use crate::address::{At, Query};
use crate::body::{self, SentOrUsual};
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;
use crate::{disk, view};

/// What an archive's query says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchiveQuery {
    dir: Option<String>,
}

/// How much of a list is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<u32>,
}

/// Deploy an upload, a Git repository (JSON), or the archive that is the body.
#[utoipa::path(post, path = "/v1/apps/{app}/deployments", tag = "deployments",
    params(("app" = String, Path), ("dir" = Option<String>, Query, description = "the project's folder within an archive")),
    request_body = CreateDeployment,
    responses((status = 202, body = Deployment), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope),
    (status = 413, body = ErrorEnvelope), (status = 422, body = ErrorEnvelope), (status = 507, body = ErrorEnvelope)))]
pub(crate) async fn create_deployment(
    auth: Authorized,
    At(app): At<AppName>,
    Query(query): Query<ArchiveQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    disk::admit(&auth)?;
    auth.store.require_app(app.clone()).await?;
    let new = if body::is_json(&headers) {
        from_json(&auth, app, &headers, body).await?
    } else {
        from_archive(&auth, app, query.dir, &headers, body).await?
    };
    let view = |urls: &_, accepted: &Accepted| view::deployment(urls, accepted.deployment.clone());
    let done = auth.store.create_deployment(new, auth.once(StatusCode::ACCEPTED, view)?, auth.clock.now()).await?;
    if let Done::Now(Accepted { deployment, superseded, aborted }, _) = &done {
        if let Some(aborted) = aborted {
            rollout::withdrawn(&auth, deployment.app.clone(), aborted.clone());
        }
        for id in superseded {
            auth.bus.publish(Message::DeploymentChanged(id.clone()));
        }
        auth.bus.publish(Message::JobReady);
        tracing::info!(app = %deployment.app, deployment.id = %deployment.id, "deployment accepted");
    }
    Ok(answered(done))
}

async fn from_json(
    auth: &Authorized,
    app: AppName,
    headers: &HeaderMap,
    body: Body,
) -> Result<NewDeployment, ApiError> {
    let request = body::json::<CreateDeployment>(headers, body, body::JSON_BYTES_MAX).await?;
    let dir = checked_dir(request.dir)?;
    match (request.upload, request.git) {
        (Some(upload), None) => {
            Ok(NewDeployment { app, source: Source::Folder, dir, bytes: SentBytes::Upload(upload), secret: None })
        }
        (None, Some(git)) => {
            let secret = seal_secret(auth, &app, &git)?;
            Ok(NewDeployment { app, source: checked_git(auth, git)?, dir, bytes: SentBytes::None, secret })
        }
        _ => Err(ApiError::invalid("the body names neither or both of `upload` and `git`", "name one of them")),
    }
}

async fn from_archive(
    auth: &Authorized,
    app: AppName,
    dir: Option<String>,
    headers: &HeaderMap,
    body: Body,
) -> Result<NewDeployment, ApiError> {
    let dir = checked_dir(dir)?;
    let bytes_max = auth.limits.archive_bytes_max;
    if body::announced(headers).is_some_and(|length| length > bytes_max) {
        return Err(body::too_large(bytes_max));
    }
    let mut received = 0_u64;
    let pieces = body.into_data_stream().map(move |piece| {
        let piece = piece.map_err(std::io::Error::other)?;
        received += piece.len() as u64;
        if received > bytes_max { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(piece) }
    });
    let (pieces, mut rest) = shared(pieces.boxed());
    let taken = auth.intake.archive(pieces).await?;
    // Some archives say themselves where they end. What comes after is part of the request all the same.
    while let Some(piece) = rest.next().await {
        piece.map_err(|error| match error.kind() {
            std::io::ErrorKind::FileTooLarge => body::too_large(bytes_max),
            _ => body::cut_short(),
        })?;
    }
    let bytes = SentBytes::Archive(taken.digest, taken.manifest);
    Ok(NewDeployment { app, source: Source::Archive, dir, bytes, secret: None })
}

type Pieces = BoxStream<'static, std::io::Result<Bytes>>;

/// The same pieces under two names: what the first leaves, the second has.
fn shared(pieces: Pieces) -> (Pieces, Pieces) {
    let pieces = Arc::new(tokio::sync::Mutex::new(pieces.fuse().boxed()));
    let take = |pieces| {
        unfold(pieces, |pieces: Arc<tokio::sync::Mutex<Pieces>>| async move {
            let piece = pieces.lock().await.next().await?;
            Some((piece, pieces))
        })
    };
    (take(Arc::clone(&pieces)).boxed(), take(pieces).boxed())
}

fn checked_dir(dir: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(dir) = dir else { return Ok(None) };
    let dir = dir.trim_start_matches("./").trim_end_matches('/').to_owned();
    if dir.is_empty() || dir == "." {
        return Ok(None);
    }
    match dir.parse::<FilePath>() {
        Ok(_) => Ok(Some(dir)),
        Err(error) => {
            Err(ApiError::invalid(format!("`dir` is not a folder of the source: {error}"), "give a relative path"))
        }
    }
}

fn checked_git(auth: &Authorized, git: GitSource) -> Result<Source, ApiError> {
    let url = auth.intake.git(&git.url, git.branch.as_deref())?;
    Ok(Source::Git { url, branch: git.branch, commit: None })
}

/// Token and deploy key, sealed for this app; they come back only inside the sandbox that clones.
fn seal_secret(auth: &Authorized, app: &AppName, git: &GitSource) -> Result<Option<Vec<u8>>, ApiError> {
    if git.token.is_none() && git.deploy_key.is_none() {
        return Ok(None);
    }
    let secret = serde_json::json!({ "token": git.token, "deploy_key": git.deploy_key });
    let sealed = auth.key.seal(&format!("git/{app}"), secret.to_string().as_bytes());
    sealed.map(Some).map_err(|error| ApiError::internal(&error))
}

/// An app's deployments, newest first.
#[utoipa::path(get, path = "/v1/apps/{app}/deployments", tag = "deployments",
    params(("app" = String, Path), ("limit" = Option<u32>, Query)),
    responses((status = 200, body = DeploymentList), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn list_deployments(
    auth: Authorized,
    At(app): At<AppName>,
    Query(page): Query<Page>,
) -> Result<Json<DeploymentList>, ApiError> {
    list(&auth, Some(app), page).await
}

/// Every app's deployments, newest first.
#[utoipa::path(get, path = "/v1/deployments", tag = "deployments", params(("limit" = Option<u32>, Query)),
    responses((status = 200, body = DeploymentList)))]
pub(crate) async fn list_all(auth: Authorized, Query(page): Query<Page>) -> Result<Json<DeploymentList>, ApiError> {
    list(&auth, None, page).await
}

async fn list(auth: &Authorized, app: Option<AppName>, page: Page) -> Result<Json<DeploymentList>, ApiError> {
    let rows = auth.store.deployments(app, page.limit.unwrap_or(50).min(500)).await?;
    let deployments = rows.into_iter().map(|row| view::deployment(&auth.urls, row)).collect();
    Ok(Json(DeploymentList { deployments }))
}

/// One deployment.
#[utoipa::path(get, path = "/v1/deployments/{deployment}", tag = "deployments", params(("deployment" = String, Path)),
    responses((status = 200, body = Deployment), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn get_deployment(
    auth: Authorized,
    At(deployment): At<DeploymentId>,
) -> Result<Json<Deployment>, ApiError> {
    let row = auth.store.deployment(deployment).await?;
    Ok(Json(view::deployment(&auth.urls, row)))
}

/// Cancel a deployment that has not settled. Whatever runs for it is killed.
#[utoipa::path(post, path = "/v1/deployments/{deployment}/cancel", tag = "deployments",
    params(("deployment" = String, Path)),
    responses((status = 200, body = Deployment), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn cancel(auth: Authorized, At(id): At<DeploymentId>) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::OK, |urls, row: &DeploymentRow| view::deployment(urls, row.clone()))?;
    let done = auth.store.cancel_deployment(id.clone(), once, auth.clock.now()).await?;
    if let Done::Now(row, _) = &done {
        rollout::withdrawn(&auth, row.app.clone(), id);
    }
    Ok(answered(done))
}

/// Go back to a deployment that was live: the one before, or the one named.
#[utoipa::path(post, path = "/v1/apps/{app}/rollback", tag = "deployments", params(("app" = String, Path)),
    request_body = RollBack,
    responses((status = 200, body = Deployment), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn roll_back(
    auth: Authorized,
    At(app): At<AppName>,
    SentOrUsual(request): SentOrUsual<RollBack>,
) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::OK, |urls, live: &WentLive| view::deployment(urls, live.deployment.clone()))?;
    let done = auth.store.roll_back(app, request.deployment, once, auth.clock.now()).await?;
    let Done::Now(live, _) = &done else { return Ok(answered(done)) };
    if let Some(aborted) = &live.aborted {
        rollout::withdrawn(&auth, live.app.clone(), aborted.clone());
    }
    auth.bus.publish(Message::RoutesChanged(live.app.clone()));
    auth.bus.publish(Message::DeploymentChanged(live.deployment.id.clone()));
    auth.bus.publish(Message::InstancesChanged(live.app.clone()));
    auth.wait_until_served(&live.deployment).await?;
    tracing::info!(app = %live.app, deployment.id = %live.deployment.id, generation = live.generation, "rolled back");
    Ok(answered(done))
}
