//! Bodies, read within limits and after authorisation.

mod misfit;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use skylift_model::wire::Code;

use crate::error::ApiError;
pub(crate) use misfit::Misfit;

/// How many bytes an ordinary JSON body may have.
pub(crate) const JSON_BYTES_MAX: usize = 1 << 20;
/// How many bytes the list of an upload's files may have.
pub(crate) const MANIFEST_BYTES_MAX: usize = 48 << 20;

/// How many bytes a run's body may have: its files, in base 64, and what else it says.
pub(crate) const RUN_BYTES_MAX: usize = 8 << 20;

/// How many bytes one body of several blobs may have.
pub(crate) const BATCH_BYTES_MAX: usize = 16 << 20;

/// A JSON body of ordinary size. Read last of all that a handler takes, so that nothing is read for who may not.
pub(crate) struct Sent<T>(pub(crate) T);

/// A body of ordinary size, as it was sent, whatever its `Content-Type` says. Read last, as [`Sent`].
pub(crate) struct Plain(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Plain {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        whole(&parts.headers, body, RUN_BYTES_MAX).await.map(Self)
    }
}

/// The same, where no body at all stands for what is usual.
pub(crate) struct SentOrUsual<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        json(&parts.headers, body, JSON_BYTES_MAX).await.map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for SentOrUsual<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        json_or_default(&parts.headers, body).await.map(Self)
    }
}

/// Reads a JSON body as a `T`.
pub(crate) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<T, ApiError> {
    if !is_json(headers) {
        return Err(ApiError::new(
            Code::UnsupportedMediaType,
            "this endpoint takes JSON",
            "send `Content-Type: application/json`",
        ));
    }
    let bytes = whole(headers, body, bytes_max).await?;
    parsed(&bytes).map_err(|misfit| misfit.told("/v1/openapi.json describes the body of every endpoint"))
}

/// A body that is an object. A list would do for one, its members taken by their place.
pub(crate) fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Misfit> {
    match bytes.trim_ascii_start().first() {
        Some(b'[') => Err(Misfit::whole("the body is a list, not an object")),
        Some(_) => read(bytes, ""),
        None => Err(Misfit::whole("the body is empty")),
    }
}

/// Whether a body is a list.
pub(crate) fn is_list(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'[')
}

/// A body that is a list, whose places are told as those of the field `name`.
pub(crate) fn parsed_list<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<Vec<T>, Misfit> {
    read(bytes, name)
}

fn read<T: DeserializeOwned>(bytes: &[u8], list: &str) -> Result<T, Misfit> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| Misfit::of(bytes, (&error.path().to_string(), list), error.inner()))?;
    json.end().map_err(|error| Misfit::of(bytes, (".", list), &error))?;
    Ok(value)
}

/// Like [`json`], where no body at all stands for the default.
async fn json_or_default<T: DeserializeOwned + Default>(headers: &HeaderMap, body: Body) -> Result<T, ApiError> {
    let bytes = whole(headers, body, JSON_BYTES_MAX).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    json(headers, Body::from(bytes), JSON_BYTES_MAX).await
}

/// Whether the body says that it is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The length the client announced.
pub(crate) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get("content-length")?.to_str().ok()?.parse().ok()
}

pub(crate) fn too_large(bytes_max: u64) -> ApiError {
    larger_than(bytes_max, "send less, or ask the owner to raise the limit")
}

fn larger_than(bytes_max: u64, hint: &'static str) -> ApiError {
    ApiError::new(Code::TooLarge, format!("the body is larger than {bytes_max} bytes"), hint)
}

pub(crate) async fn whole(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    // No limit of these is the owner's to raise.
    let too_much = || larger_than(bytes_max as u64, "send less at once");
    if announced(headers).is_some_and(|length| length > bytes_max as u64) {
        return Err(too_much());
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_much()),
        Err(_) => Err(cut_short()),
    }
}

pub(crate) fn cut_short() -> ApiError {
    ApiError::new(Code::BadRequest, "the body ended early", "send the request again")
}
