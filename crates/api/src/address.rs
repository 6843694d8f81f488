//! The parts of a request's address. What is wrong with them is told like every other error.

use axum::extract::{FromRequestParts, rejection};
use axum::http::request::Parts;
use skylift_model::wire::Code;

use crate::error::ApiError;

/// The parts of the path, percent-decoded.
pub(crate) struct Path<T>(pub(crate) T);

/// What stands behind the `?`.
pub(crate) struct Query<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    axum::extract::Path<T>: FromRequestParts<S, Rejection = rejection::PathRejection>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        let axum::extract::Path(value) = read.map_err(|error| {
            ApiError::new(
                Code::BadRequest,
                format!("the address cannot be read: {}", error.body_text()),
                "percent-encode names as UTF-8",
            )
        })?;
        Ok(Self(value))
    }
}

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    axum::extract::Query<T>: FromRequestParts<S, Rejection = rejection::QueryRejection>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = axum::extract::Query::from_request_parts(parts, state).await;
        let axum::extract::Query(value) = read.map_err(|error| {
            ApiError::new(
                Code::BadRequest,
                format!("the address cannot be read: {}", error.body_text()),
                "/v1/openapi.json lists what the endpoint takes after the `?`",
            )
        })?;
        Ok(Self(value))
    }
}
