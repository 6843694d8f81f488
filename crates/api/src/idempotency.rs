//! `Idempotency-Key`: a client's promise that two requests are the same one.

use axum::http::{HeaderMap, Method};
use skylift_model::digest::Hasher;
use skylift_model::wire::Code;
use skylift_store::Idempotency;

use crate::error::ApiError;
use crate::guard::Authorized;

const KEY_BYTES_MAX: usize = 255;

/// The request's key, if it has one. `what` is the path, `body` what the request asks for.
pub(crate) fn key(
    authorized: &Authorized,
    headers: &HeaderMap,
    method: &Method,
    what: &str,
    body: &[u8],
) -> Result<Option<Idempotency>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().map(str::trim).filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
    let key = key.ok_or_else(|| {
        ApiError::new(
            Code::BadRequest,
            "the Idempotency-Key is not 1 to 255 visible ASCII characters",
            "a random UUID makes a good key",
        )
    })?;
    let mut request = Hasher::new();
    for part in [method.as_str().as_bytes(), b" ", what.as_bytes(), b"\n", body] {
        request.update(part);
    }
    Ok(Some(Idempotency { token: authorized.token.clone(), key: key.to_owned(), request: request.finish() }))
}
