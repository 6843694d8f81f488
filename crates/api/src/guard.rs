//! The one guard: who may do what.
//!
//! `Authorized` is taken from the request's head, so it is decided before any body is read, and it alone leads to the
//! services.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use skylift_model::wire::Code;
use skylift_model::{Digest, Timestamp, TokenId};
use skylift_store::Store;

use crate::error::ApiError;
use crate::idempotency::Keyed;
use crate::services::Services;

/// How long one request waits for rows in all, however many answers it needs; then it is 503, and may be sent again. Well
/// below the minute that clients wait for an answer.
pub(crate) const ROWS_WITHIN: Duration = Duration::from_secs(30);

/// A request whose token was checked. The owner's token may do everything; other scopes come with users.
#[derive(Clone)]
pub(crate) struct Authorized {
    services: Arc<Services>,
    /// The rows, for as long as the request waits for them.
    pub(crate) store: Store,
    /// Whose request it is.
    pub(crate) token: TokenId,
    /// What makes a repetition of the request the same request, where the client said so.
    pub(crate) request_key: Option<Keyed>,
}

impl Deref for Authorized {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}

impl Authorized {
    /// The services, for work that outlives the request.
    pub(crate) fn services(&self) -> Arc<Services> {
        self.services.clone()
    }

    /// The same, with the request's key.
    pub(crate) fn keyed(self, key: Keyed) -> Self {
        Self { request_key: Some(key), ..self }
    }
}

impl FromRequestParts<Arc<Services>> for Authorized {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, services: &Arc<Services>) -> Result<Self, ApiError> {
        // Only the layer around the endpoints puts it there, and it asked here.
        if let Some(checked) = parts.extensions.get::<Self>() {
            return Ok(checked.clone());
        }
        let store = services.store.with_patience(ROWS_WITHIN);
        let token = check(&parts.headers, &store, services.clock.now()).await?;
        Ok(Self { services: services.clone(), store, token, request_key: None })
    }
}

/// The token that a request presents, if it counts.
pub(crate) async fn check(headers: &HeaderMap, store: &Store, now: Timestamp) -> Result<TokenId, ApiError> {
    let presented = presented_token(headers).ok_or_else(|| unauthorized("this request has no token"))?;
    let digest = Digest::of(presented.as_bytes());
    let tokens = store.tokens(now).await?;
    let token = tokens.into_iter().find(|token| same(token.sha256.as_bytes(), digest.as_bytes()));
    token.map(|token| token.id).ok_or_else(|| unauthorized("the token is unknown, expired or revoked"))
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(
        Code::Unauthorized,
        message,
        "send `Authorization: Bearer TOKEN` or `x-api-key: TOKEN`; the owner's token is in `owner-token` in the data folder",
    )
}

fn presented_token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(|| headers.get("x-api-key").and_then(|value| value.to_str().ok()).map(str::trim))
}

/// Compares in a time that does not depend on where the bytes differ.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
