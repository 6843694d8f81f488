//! The parts of a request's address. What is wrong with them is told like every other error.

use axum::extract::{FromRequestParts, Path, rejection};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use skylift_model::wire::Code;

use crate::error::ApiError;
use crate::named::{Named, named};

/// What the path names: one thing, or one thing and a part of it.
pub(crate) struct At<T>(pub(crate) T);

/// A part of the path that names nothing we number or name: read as it is, percent-decoded.
pub(crate) struct Rest(pub(crate) String);

/// What stands behind the `?`.
pub(crate) struct Query<T>(pub(crate) T);

/// What can be made of the texts that a path has in the places of its parameters.
pub(crate) trait Place: Sized {
    type Texts: DeserializeOwned + Send;

    fn of(texts: Self::Texts) -> Result<Self, ApiError>;
}

impl<T: Named> Place for T {
    type Texts = String;

    fn of(text: String) -> Result<Self, ApiError> {
        named(&text)
    }
}

impl<A: Named, B: Named> Place for (A, B) {
    type Texts = (String, String);

    fn of((a, b): Self::Texts) -> Result<Self, ApiError> {
        Ok((named(&a)?, named(&b)?))
    }
}

impl<A: Named> Place for (A, Rest) {
    type Texts = (String, String);

    fn of((a, rest): Self::Texts) -> Result<Self, ApiError> {
        Ok((named(&a)?, Rest(rest)))
    }
}

impl<S: Send + Sync, T: Place> FromRequestParts<S> for At<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Path::<T::Texts>::from_request_parts(parts, state).await;
        let Path(texts) = read.map_err(|error| {
            ApiError::new(
                Code::BadRequest,
                format!("the address cannot be read: {}", error.body_text()),
                "percent-encode names as UTF-8",
            )
        })?;
        T::of(texts).map(Self)
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
