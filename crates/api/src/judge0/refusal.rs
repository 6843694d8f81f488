//! What is refused, in Judge0's words.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use skylift_queue::QueueError;
use skylift_store::StoreError;

use crate::error::ApiError;

/// An answer that says no.
#[derive(Debug)]
pub(super) enum Refusal {
    /// `{"error": …}`.
    Says(StatusCode, String),
    /// What is wrong with which field.
    Fields(Map<String, Value>),
    /// As everywhere here.
    Ours(ApiError),
}

impl Refusal {
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::Says(StatusCode::BAD_REQUEST, message.into())
    }

    pub(super) fn not_found() -> Self {
        Self::Says(StatusCode::NOT_FOUND, "Not Found".to_owned())
    }

    pub(super) fn full() -> Self {
        Self::Says(StatusCode::SERVICE_UNAVAILABLE, "queue is full".to_owned())
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Ours(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::not_found(),
            error => Self::Ours(error.into()),
        }
    }
}

impl From<QueueError> for Refusal {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Store(error) => error.into(),
            error => Self::Ours(error.into()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Says(status, message) => (status, Json(json!({ "error": message }))).into_response(),
            Self::Fields(fields) => (StatusCode::UNPROCESSABLE_ENTITY, Json(fields)).into_response(),
            Self::Ours(error) => error.into_response(),
        }
    }
}
