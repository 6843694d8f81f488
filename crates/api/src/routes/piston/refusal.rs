//! What Piston's clients are told where nothing is run.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ApiError;

/// An answer as Piston has it: a status and a message.
#[derive(Debug)]
pub(super) struct Refusal(Box<Response>);

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self(Box::new((status, Json(json!({"message": message.into()}))).into_response()))
    }

    /// It is not on.
    pub(super) fn off(why: &str) -> Self {
        let what_to_do =
            "make a key for `runs`, and name its file as `key_file` in `[runs.piston]` of the configuration";
        Self::new(
            StatusCode::FORBIDDEN,
            format!("Piston's API is off here: {why}. The owner can turn it on: {what_to_do}"),
        )
    }

    /// It is to be on, and cannot be: what is the matter with its key's file. Where that lies is for the owner's eyes, in the log.
    pub(super) fn misset(why: &str) -> Self {
        let message = format!(
            "Piston's API has no key to act with: the file that `key_file` in `[runs.piston]` of the configuration names {why}. \
             The owner can put one there; it is read at each request"
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl From<ApiError> for Refusal {
    /// Its status, and when to come again where it says so.
    fn from(error: ApiError) -> Self {
        let message = format!("{}: {}", error.body().message, error.body().hint);
        let (mut parts, _) = error.into_response().into_parts();
        let Self(response) = Self::new(parts.status, message);
        let (told, body) = response.into_parts();
        parts.headers.extend(told.headers);
        parts.headers.remove("www-authenticate");
        Self(Box::new(Response::from_parts(parts, body)))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}
