//! `/v1/apps/{app}/env`.

use axum::Json;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Response;
use skylift_model::wire::{EnvChange, EnvList, ErrorEnvelope};

use super::named;
use crate::address::Path;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::{body, env};

/// The names of an app's variables; values are never returned.
#[utoipa::path(get, path = "/v1/apps/{app}/env", tag = "env", params(("app" = String, Path)),
    responses((status = 200, body = EnvList), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn list_env(auth: Authorized, Path(app): Path<String>) -> Result<Json<EnvList>, ApiError> {
    Ok(Json(env::list(&auth, named(&app)?).await?))
}

/// Set and remove variables in one step. What is live and runs has its instances replaced by ones that have them,
/// one by one; builds have them from the next one on.
#[utoipa::path(patch, path = "/v1/apps/{app}/env", tag = "env", params(("app" = String, Path)),
    request_body = EnvChange,
    responses((status = 200, body = EnvList), (status = 404, body = ErrorEnvelope), (status = 422, body = ErrorEnvelope)))]
pub(crate) async fn change_env(
    auth: Authorized,
    Path(app): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let app = named(&app)?;
    let change = body::json::<EnvChange>(&headers, body, body::JSON_BYTES_MAX).await?;
    env::change(&auth, app, change).await
}
