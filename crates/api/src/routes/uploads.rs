//! Uploads: a list of files first, then the blobs that are missing.

use std::collections::HashSet;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use skylift_blob::{BlobError, BlobWriter};
use skylift_model::digest::Hasher;
use skylift_model::manifest::DOCUMENT_BYTES_MAX;
use skylift_model::wire::{CreateUpload, ErrorEnvelope, Upload};
use skylift_model::{AppName, Digest, Manifest, UploadId};
use skylift_store::OpenedUpload;

use crate::address::{At, Rest};
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;
use crate::{body, disk};

const MIB: u64 = 1 << 20;

/// Announce the files of a source; learn which of their bytes this app never sent, or were lost since.
#[utoipa::path(post, path = "/v1/apps/{app}/uploads", tag = "uploads", params(("app" = String, Path)),
    request_body = CreateUpload, responses((status = 201, body = Upload), (status = 404, body = ErrorEnvelope),
    (status = 413, body = ErrorEnvelope), (status = 422, body = ErrorEnvelope), (status = 507, body = ErrorEnvelope)))]
pub(crate) async fn create_upload(
    auth: Authorized,
    At(app): At<AppName>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    disk::admit(&auth)?;
    let request = body::json::<CreateUpload>(&headers, body, body::MANIFEST_BYTES_MAX).await?;
    let manifest = Manifest::new(request.files).map_err(|error| {
        ApiError::invalid(error.to_string(), "rename or leave out what is named, and send the list again")
    })?;
    within_limits(&auth, &manifest)?;
    let bytes = serde_json::to_vec(&manifest).map_err(|error| ApiError::internal(&error))?;
    let digest = auth.blobs.put(bytes).await?;
    let once = auth.once(StatusCode::CREATED, |_, opened: &OpenedUpload| Upload {
        id: opened.id.clone(),
        missing: opened.missing.clone(),
    })?;
    // What was sent and is damaged or gone is asked for again: that is how a deploy repairs it.
    let lost = auth.blobs.lost_of(manifest.files().iter().map(|file| (file.sha256, file.size)).collect()).await?;
    Ok(answered(auth.store.open_upload(app, digest, manifest, lost, once, auth.clock.now()).await?))
}

fn within_limits(auth: &Authorized, manifest: &Manifest) -> Result<(), ApiError> {
    let limits = auth.limits;
    if let Some(file) = manifest.files().iter().find(|file| file.size > limits.file_bytes_max) {
        let most = limits.file_bytes_max;
        // Whole MiB where they are, as whoever set the limit is likely to have written it.
        let most = if most.is_multiple_of(MIB) { format!("{} MiB", most / MIB) } else { format!("{most} bytes") };
        let message = format!("`{}` is larger than {most}", file.path);
        let hint =
            "leave it out with .skyliftignore, or ask the owner to raise `[upload] file_bytes_max` in config.toml";
        return Err(ApiError::new(skylift_model::wire::Code::TooLarge, message, hint));
    }
    if manifest.bytes() > limits.source_bytes_max {
        return Err(body::too_large(limits.source_bytes_max));
    }
    Ok(())
}

/// Send one blob. Repeating it is harmless.
#[utoipa::path(put, path = "/v1/uploads/{upload}/blobs/{sha256}", tag = "uploads",
    params(("upload" = String, Path), ("sha256" = String, Path)), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 204), (status = 404, body = ErrorEnvelope), (status = 413, body = ErrorEnvelope),
    (status = 422, body = ErrorEnvelope), (status = 507, body = ErrorEnvelope)))]
pub(crate) async fn put_blob(
    auth: Authorized,
    At((upload, Rest(sha256))): At<(UploadId, Rest)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let digest: Digest = sha256.parse().map_err(|error: skylift_model::digest::InvalidDigest| {
        ApiError::invalid(error.to_string(), "the path ends in the SHA-256 of the body")
    })?;
    disk::admit(&auth)?;
    let waits = auth.store.upload_waits_for_all(upload.clone(), vec![digest]).await?.contains(&true);
    if !waits {
        require_listed(&auth, &upload, &[digest]).await?;
    }
    let bytes_max = auth.limits.file_bytes_max;
    if body::announced(&headers).is_some_and(|length| length > bytes_max) {
        return Err(body::too_large(bytes_max));
    }
    // What is here already is not stored again; that it is what it claims to be is checked all the same.
    let mut sink =
        if waits { Sink::Blob(Box::new(auth.blobs.writer().await?)) } else { Sink::Check(Box::new(Hasher::new())) };
    let (mut body, mut size) = (body, 0);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(body::cut_short()) };
        let Ok(bytes) = frame.into_data() else { continue };
        size += bytes.len() as u64;
        if size > bytes_max {
            return Err(body::too_large(bytes_max));
        }
        sink.write(bytes).await?;
    }
    sink.finish(digest).await?;
    if !waits {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let once = auth.once(StatusCode::NO_CONTENT, |_, (): &()| ())?;
    Ok(answered(auth.store.blobs_received(upload, vec![digest], once, auth.clock.now()).await?))
}

/// Where a blob's bytes go.
enum Sink {
    Blob(Box<BlobWriter>),
    Check(Box<Hasher>),
}

impl Sink {
    async fn write(&mut self, bytes: Bytes) -> Result<(), ApiError> {
        match self {
            Self::Blob(writer) => writer.write(bytes).await?,
            Self::Check(hasher) => hasher.update(&bytes),
        }
        Ok(())
    }

    async fn finish(self, expected: Digest) -> Result<(), ApiError> {
        match self {
            Self::Blob(writer) => writer.finish(Some(expected)).await.map(drop)?,
            Self::Check(hasher) => {
                let actual = hasher.finish();
                if actual != expected {
                    return Err(BlobError::Mismatch { expected, actual }.into());
                }
            }
        }
        Ok(())
    }
}

/// Refuses blobs that are not in the upload's list: they would be stored for nobody, and to say that they arrived
/// would be a lie.
async fn require_listed(auth: &Authorized, upload: &UploadId, digests: &[Digest]) -> Result<(), ApiError> {
    let list = auth.store.upload_manifest(upload.clone()).await?;
    let bytes = auth.blobs.get(&list, DOCUMENT_BYTES_MAX).await?.unwrap_or_default();
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| ApiError::internal(&error))?;
    let listed: HashSet<&Digest> = manifest.files().iter().map(|file| &file.sha256).collect();
    match digests.iter().find(|digest| !listed.contains(digest)) {
        None => Ok(()),
        Some(stray) => Err(ApiError::invalid(
            format!("upload `{upload}` has no file with the SHA-256 {stray}"),
            "send only what was answered as `missing`; for another list of files, open another upload",
        )),
    }
}

/// Send several small blobs as one body: each a length (four bytes, big-endian) and the bytes. Those that the upload
/// has already are passed over. Repeating it is harmless.
#[utoipa::path(post, path = "/v1/uploads/{upload}/blobs", tag = "uploads", params(("upload" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 204), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
    (status = 413, body = ErrorEnvelope), (status = 422, body = ErrorEnvelope), (status = 507, body = ErrorEnvelope)))]
pub(crate) async fn post_blobs(
    auth: Authorized,
    At(upload): At<UploadId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    disk::admit(&auth)?;
    let bytes = body::whole(&headers, body, body::BATCH_BYTES_MAX).await?;
    let blobs = split_blobs(&bytes).ok_or_else(body::cut_short)?;
    let digests: Vec<Digest> = blobs.iter().map(|blob| Digest::of(blob)).collect();
    let waits = auth.store.upload_waits_for_all(upload.clone(), digests.clone()).await?;
    if waits.contains(&false) {
        require_listed(&auth, &upload, &digests).await?;
    }
    let awaited = || blobs.iter().zip(&digests).zip(&waits).filter_map(|(blob, waits)| waits.then_some(blob));
    auth.blobs.put_all(awaited().map(|(blob, _)| blob.to_vec()).collect()).await?;
    let received = awaited().map(|(_, digest)| *digest).collect();
    let once = auth.once(StatusCode::NO_CONTENT, |_, (): &()| ())?;
    Ok(answered(auth.store.blobs_received(upload, received, once, auth.clock.now()).await?))
}

/// The blobs of a body; `None` where it ends within one.
fn split_blobs(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut blobs = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (blob, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        blobs.push(blob);
        bytes = rest;
    }
    Some(blobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_blobs_is_split_or_refused_whole() {
        assert_eq!(split_blobs(b""), Some(vec![]));
        assert_eq!(split_blobs(b"\0\0\0\x01a\0\0\0\0\0\0\0\x02bc"), Some(vec![&b"a"[..], b"", b"bc"]));
        for cut in [&b"\0\0\0"[..], b"\0\0\0\x02a", b"\xff\xff\xff\xffa", b"\0\0\0\x01a\0"] {
            assert_eq!(split_blobs(cut), None);
        }
    }
}
