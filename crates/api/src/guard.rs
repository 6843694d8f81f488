//! The one guard: who may do what.
//!
//! `Authorized` is taken from the request's head, so it is decided before any body is read, and it alone leads to the
//! services.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use skylift_model::key::{Grant, Scope};
use skylift_model::wire::Code;
use skylift_model::{Digest, Timestamp, TokenId};
use skylift_store::Store;

use crate::error::ApiError;
use crate::idempotency::Keyed;
use crate::services::Services;

/// How long one request waits for rows in all, however many answers it needs; then it is 503, and may be sent again. Well
/// below the minute that clients wait for an answer.
pub(crate) const ROWS_WITHIN: Duration = Duration::from_secs(30);

/// What a request has to be allowed to do, said by the type that its handler takes.
pub(crate) trait Needs: Clone + Send + Sync + 'static {
    /// `None` where any token will do.
    const SCOPE: Option<Scope>;
}

macro_rules! needs {
    ($($(#[$doc:meta])* $name:ident, $scope:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl Needs for $name {
            const SCOPE: Option<Scope> = $scope;
        }
    )*};
}

needs! {
    /// Everything: what a handler asks for that says nothing.
    Everything, Some(Scope::Everything);
    /// To run code.
    Runs, Some(Scope::Runs);
    /// A token that counts, whatever for: the layer around the endpoints, which does nothing with it.
    AnyScope, None;
}

/// A request whose token was checked, and found to be for what the handler needs.
#[derive(Clone)]
pub(crate) struct Authorized<N = Everything> {
    services: Arc<Services>,
    /// The rows, for as long as the request waits for them.
    pub(crate) store: Store,
    /// Whose request it is.
    pub(crate) token: TokenId,
    /// What makes a repetition of the request the same request, where the client said so.
    pub(crate) request_key: Option<Keyed>,
    /// What the token may do.
    pub(crate) grant: Arc<Grant>,
    needs: PhantomData<N>,
}

impl<N> Deref for Authorized<N> {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}

impl<N> Authorized<N> {
    /// The services, for work that outlives the request.
    pub(crate) fn services(&self) -> Arc<Services> {
        self.services.clone()
    }

    /// The same, with the request's key.
    pub(crate) fn keyed(self, key: Keyed) -> Self {
        Self { request_key: Some(key), ..self }
    }
}

impl Authorized<AnyScope> {
    /// The same for who needs more, if its token is for that.
    fn narrowed<N: Needs>(self) -> Result<Authorized<N>, ApiError> {
        if let Some(scope) = N::SCOPE {
            demand(&self.grant, scope)?;
        }
        let Self { services, store, token, request_key, grant, .. } = self;
        Ok(Authorized { services, store, token, request_key, grant, needs: PhantomData })
    }
}

impl<N: Needs> FromRequestParts<Arc<Services>> for Authorized<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, services: &Arc<Services>) -> Result<Self, ApiError> {
        // Only the layer around the endpoints puts it there, and it asked here.
        if let Some(checked) = parts.extensions.get::<Authorized<AnyScope>>() {
            return checked.clone().narrowed();
        }
        let store = services.store.with_patience(ROWS_WITHIN);
        let (token, grant) = check(&parts.headers, &store, services.clock.now()).await?;
        let services = services.clone();
        let checked = Authorized::<AnyScope> {
            services,
            store,
            token,
            request_key: None,
            grant: Arc::new(grant),
            needs: PhantomData,
        };
        checked.narrowed()
    }
}

/// The token that a request presents, if it counts, and what it may do.
pub(crate) async fn check(headers: &HeaderMap, store: &Store, now: Timestamp) -> Result<(TokenId, Grant), ApiError> {
    let presented = presented_token(headers).ok_or_else(|| unauthorized("this request has no token"))?;
    let digest = Digest::of(presented.as_bytes());
    // Looked for by its digest, which tells nothing of what would be close.
    let token = store.token(digest, now).await?.filter(|token| same(token.sha256.as_bytes(), digest.as_bytes()));
    let token = token.ok_or_else(|| unauthorized("the token is unknown, expired or revoked"))?;
    Ok((token.id, token.grant.unwrap_or_else(Grant::everything)))
}

/// Refuses who may not.
pub(crate) fn demand(grant: &Grant, scope: Scope) -> Result<(), ApiError> {
    if grant.covers(scope) {
        return Ok(());
    }
    Err(ApiError::new(
        Code::Forbidden,
        format!("this key is not for `{}`", scope.as_str()),
        "use the owner's token, or a key that was made with that scope",
    ))
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

#[cfg(test)]
mod timing;
