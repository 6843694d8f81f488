//! Errors as clients see them: a code for programs, a message and a hint for people, nothing internal.

mod hints;

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use skylift_blob::BlobError;
use skylift_model::chain;
use skylift_model::wire::{Code, ErrorBody, ErrorEnvelope};
use skylift_queue::QueueError;
use skylift_store::StoreError;

/// An error answer.
#[derive(Debug)]
pub struct ApiError(ErrorBody, Option<Wait>);

/// How much there is of something, and when there is some of it again.
#[derive(Clone, Copy, Debug)]
struct Wait {
    limit: u32,
    left: u32,
    seconds: u64,
}

/// What an answer says that is an error, for who says it in another shape.
#[derive(Clone, Debug)]
pub(crate) struct Told(pub(crate) ErrorBody);

impl ApiError {
    /// An error with what happened and what to do next.
    pub fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self(ErrorBody { code, message: message.into(), hint: hint.into(), retry_after_s: None }, None)
    }

    /// Something in a well-formed request is not allowed.
    pub fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message, hint)
    }

    /// Too much of something of which there is `limit`; some of it is there again after `wait`.
    pub fn rate_limited(message: impl Into<String>, hint: impl Into<String>, wait: Duration, limit: u32) -> Self {
        let Self(body, _) = Self::new(Code::RateLimited, message, hint);
        // Whole seconds: no sooner than it will be allowed.
        let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
        Self(ErrorBody { retry_after_s: Some(seconds), ..body }, Some(Wait { limit, left: 0, seconds }))
    }

    /// So much of it is left, which was not enough.
    pub(crate) fn with_left(mut self, left: u32) -> Self {
        if let Some(wait) = &mut self.1 {
            wait.left = left;
        }
        self
    }

    /// The same, of one field of a request.
    pub(crate) fn at(mut self, field: &str) -> Self {
        self.0.message = format!("`{field}`: {}", self.0.message);
        self
    }

    /// Our fault. The cause is logged here, once; the client learns only that it happened.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = chain(cause), "request failed");
        Self::new(Code::Internal, "something went wrong on our side", "try again; the platform's log has the details")
    }

    /// Something we need does not answer at the moment. The cause is logged here, once.
    pub fn unavailable(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = chain(cause), "request not done for now");
        Self::new(
            Code::Unavailable,
            "the platform cannot reach its database at the moment",
            "try again in a few seconds, with the same Idempotency-Key where you sent one; what is live is served on",
        )
    }

    /// The object store does not answer at the moment. The cause is logged here, once.
    pub fn object_store_away(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = chain(cause), "request not done for now");
        Self::new(
            Code::Unavailable,
            "the object store does not answer",
            "try again in a moment; what is live goes on being served",
        )
    }

    /// There is no room for more bytes; what needs none still works.
    pub fn out_of_space() -> Self {
        Self::new(
            Code::OutOfSpace,
            "the platform's disk is full",
            "free space on the server, or run `skylift gc`; serving, rolling back and deleting still work",
        )
    }

    /// What a client is told.
    pub(crate) fn body(&self) -> &ErrorBody {
        &self.0
    }

    /// What happened and what to do next, together.
    pub(crate) fn in_one_line(&self) -> String {
        format!("{}: {}", self.0.message, self.0.hint)
    }

    pub(crate) fn not_found(what: &str, hint: impl Into<String>) -> Self {
        Self::new(Code::NotFound, format!("there is no {what}"), hint)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound(what) => Self::not_found(&what.to_string(), hints::missing(what)),
            StoreError::Conflict(why) => Self::new(Code::Conflict, why.to_string(), hints::conflict(why)),
            StoreError::IdempotencyMismatch => Self::new(
                Code::IdempotencyMismatch,
                error.to_string(),
                "use a new key for a new request; repeat a request byte for byte",
            ),
            StoreError::OutOfSpace => Self::out_of_space(),
            StoreError::Unavailable(_) => Self::unavailable(&error),
            _ => Self::internal(&error),
        }
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Store(error) => error.into(),
            QueueError::Blob(error) => error.into(),
            QueueError::Document(_) => Self::internal(&error),
        }
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        match &error {
            BlobError::Mismatch { .. } => Self::invalid(error.to_string(), "send the blob again, whole"),
            _ if error.is_unavailable() => Self::object_store_away(&error),
            _ if error.is_out_of_space() => Self::out_of_space(),
            _ => Self::internal(&error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let told = Told(self.0.clone());
        let mut response = (status, Json(ErrorEnvelope { error: self.0 })).into_response();
        response.extensions_mut().insert(told);
        let headers = response.headers_mut();
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            let seconds = self.1.map_or(1, |wait| wait.seconds);
            headers.insert("retry-after", HeaderValue::from(seconds));
        }
        if let Some(Wait { limit, left, seconds }) = self.1 {
            headers.insert("ratelimit-limit", HeaderValue::from(limit));
            headers.insert("ratelimit-remaining", HeaderValue::from(left));
            headers.insert("ratelimit-reset", HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert("www-authenticate", HeaderValue::from_static("Bearer realm=\"skylift\""));
        }
        response
    }
}
