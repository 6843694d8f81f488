//! `/v1/apps/{app}/env`.

use axum::Json;
use axum::response::Response;
use skylift_model::AppName;
use skylift_model::wire::{EnvChange, EnvList, ErrorEnvelope};

use crate::address::At;
use crate::body::Sent;
use crate::env;
use crate::error::ApiError;
use crate::guard::Authorized;

/// The names of an app's variables; values are never returned.
#[utoipa::path(get, path = "/v1/apps/{app}/env", tag = "env", params(("app" = String, Path)),
    responses((status = 200, body = EnvList), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn list_env(auth: Authorized, At(app): At<AppName>) -> Result<Json<EnvList>, ApiError> {
    Ok(Json(env::list(&auth, app).await?))
}

/// Set and remove variables in one step. What is live and runs has its instances replaced by ones that have them,
/// one by one; builds have them from the next one on.
#[utoipa::path(patch, path = "/v1/apps/{app}/env", tag = "env", params(("app" = String, Path)),
    request_body = EnvChange,
    responses((status = 200, body = EnvList), (status = 404, body = ErrorEnvelope), (status = 422, body = ErrorEnvelope)))]
pub(crate) async fn change_env(
    auth: Authorized,
    At(app): At<AppName>,
    Sent(change): Sent<EnvChange>,
) -> Result<Response, ApiError> {
    env::change(&auth, app, change).await
}
