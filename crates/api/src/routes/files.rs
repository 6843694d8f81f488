//! The files of a deployment: its source (`output/`) and its result (`build/`).

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream::unfold;
use serde::de::DeserializeOwned;
use skylift_model::manifest::DOCUMENT_BYTES_MAX;
use skylift_model::site::Site;
use skylift_model::wire::{ErrorEnvelope, FileList};
use skylift_model::{DeploymentId, Digest, FileEntry, FileMode, Manifest, Program};

use crate::address::{At, Rest};
use crate::error::ApiError;
use crate::guard::Authorized;

const PIECE_BYTES: usize = 128 << 10;

/// The files of a deployment's source.
#[utoipa::path(get, path = "/v1/deployments/{deployment}/output", tag = "files", params(("deployment" = String, Path)),
    responses((status = 200, body = FileList), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn list_source(auth: Authorized, At(id): At<DeploymentId>) -> Result<Json<FileList>, ApiError> {
    Ok(Json(FileList { files: source(&auth, &id).await? }))
}

/// The files of a deployment's result.
#[utoipa::path(get, path = "/v1/deployments/{deployment}/build", tag = "files", params(("deployment" = String, Path)),
    responses((status = 200, body = FileList), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn list_built(auth: Authorized, At(id): At<DeploymentId>) -> Result<Json<FileList>, ApiError> {
    Ok(Json(FileList { files: built(&auth, &id).await? }))
}

/// One file of a deployment's source.
#[utoipa::path(get, path = "/v1/deployments/{deployment}/output/{path}", tag = "files",
    params(("deployment" = String, Path), ("path" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn source_file(
    auth: Authorized,
    At((id, Rest(path))): At<(DeploymentId, Rest)>,
) -> Result<Response, ApiError> {
    let files = source(&auth, &id).await?;
    send(&auth, &files, &path, &format!("`skylift files {id} --source` lists them")).await
}

/// One file of a deployment's result.
#[utoipa::path(get, path = "/v1/deployments/{deployment}/build/{path}", tag = "files",
    params(("deployment" = String, Path), ("path" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn built_file(
    auth: Authorized,
    At((id, Rest(path))): At<(DeploymentId, Rest)>,
) -> Result<Response, ApiError> {
    let files = built(&auth, &id).await?;
    send(&auth, &files, &path, &format!("`skylift files {id}` lists them")).await
}

async fn source(auth: &Authorized, id: &DeploymentId) -> Result<Vec<FileEntry>, ApiError> {
    let digest = auth.store.source_manifest(id.clone()).await?;
    let digest = digest.ok_or_else(|| {
        ApiError::not_found(
            &format!("source of deployment `{id}`"),
            "a Git source is there once the build has cloned it",
        )
    })?;
    let manifest: Manifest = document(auth, &digest).await?;
    Ok(manifest.files().to_vec())
}

async fn built(auth: &Authorized, id: &DeploymentId) -> Result<Vec<FileEntry>, ApiError> {
    let deployment = auth.store.deployment(id.clone()).await?;
    let digest = deployment.artifact.ok_or_else(|| {
        let hint = "a deployment has one once its build ended well; `skylift deployments` shows its state";
        ApiError::not_found(&format!("result of deployment `{id}`"), hint)
    })?;
    if deployment.runs {
        let program: Program = document(auth, &digest).await?;
        let manifest: Manifest = document(auth, &program.files).await?;
        return Ok(manifest.files().to_vec());
    }
    let site: Site = document(auth, &digest).await?;
    let entry = |(path, asset): (_, skylift_model::site::Asset)| FileEntry {
        path,
        sha256: asset.sha256,
        size: asset.size,
        mode: FileMode::File,
    };
    Ok(site.files.into_iter().map(entry).collect())
}

async fn document<T: DeserializeOwned>(auth: &Authorized, digest: &Digest) -> Result<T, ApiError> {
    let bytes = auth.blobs.get(digest, DOCUMENT_BYTES_MAX).await?;
    let bytes = bytes.ok_or_else(|| gone("list of files"))?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::internal(&error))
}

/// Something whose deployment was cleaned up in this moment.
fn gone(what: &str) -> ApiError {
    ApiError::not_found(&format!("such {what} any more"), "its deployment was cleaned up; deploy the source again")
}

/// A file as plain bytes: never rendered on this origin, whatever it is.
async fn send(auth: &Authorized, files: &[FileEntry], path: &str, hint: &str) -> Result<Response, ApiError> {
    let found = files.iter().find(|file| file.path.as_str() == path);
    let file = found.ok_or_else(|| ApiError::not_found(&format!("file `{}`", path.escape_debug()), hint))?;
    let stored = auth.blobs.open_file(&file.sha256).await?.ok_or_else(|| gone("file"))?;
    let pieces = unfold(tokio::fs::File::from_std(stored.file), |mut file| async move {
        let mut piece = vec![0; PIECE_BYTES];
        match tokio::io::AsyncReadExt::read(&mut file, &mut piece).await {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some((Ok(Bytes::from(piece)), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(stored.size));
    Ok(response)
}
