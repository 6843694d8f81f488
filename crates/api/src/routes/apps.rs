//! `/v1/apps`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use skylift_bus::Message;
use skylift_model::wire::{App, AppList, CreateApp, ErrorEnvelope};
use skylift_model::{AppName, DeploymentId};
use skylift_store::{AppRow, Done, WithData};

use crate::address::{At, Query};
use crate::body::Sent;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;
use crate::{tenants, view};

/// Make an app.
#[utoipa::path(post, path = "/v1/apps", tag = "apps", request_body = CreateApp,
    responses((status = 201, body = App), (status = 409, body = ErrorEnvelope), (status = 400, body = ErrorEnvelope)))]
pub(crate) async fn create_app(auth: Authorized, Sent(request): Sent<CreateApp>) -> Result<Response, ApiError> {
    let name = request.name.for_new();
    let name = name.map_err(|error| ApiError::invalid(error.to_string(), "as in `shop` or `my-site`"))?;
    let once = auth.once(StatusCode::CREATED, |urls, row: &AppRow| view::app(urls, row.clone()))?;
    let done = auth.store.create_app(name, once, auth.clock.now()).await?;
    if let Done::Now(row, _) = &done {
        auth.bus.publish(Message::RoutesChanged(row.name.clone()));
    }
    Ok(answered(done))
}

/// Every app, by name.
#[utoipa::path(get, path = "/v1/apps", tag = "apps", responses((status = 200, body = AppList)))]
pub(crate) async fn list_apps(auth: Authorized) -> Result<Json<AppList>, ApiError> {
    let rows = auth.store.apps().await?;
    Ok(Json(AppList { apps: rows.into_iter().map(|row| view::app(&auth.urls, row)).collect() }))
}

/// One app.
#[utoipa::path(get, path = "/v1/apps/{app}", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = App), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn get_app(auth: Authorized, At(app): At<AppName>) -> Result<Json<App>, ApiError> {
    let row = auth.store.app(app).await?;
    Ok(Json(view::app(&auth.urls, row)))
}

/// What goes with an app.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteQuery {
    data: Option<Data>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Data {
    Remove,
}

/// Remove an app with its deployments, logs and environment. One that keeps data, in volumes or databases, is removed only with
/// `data=remove`, and the data with it.
#[utoipa::path(delete, path = "/v1/apps/{app}", tag = "apps", params(("app" = String, Path),
    ("data" = Option<String>, Query, description = "`remove`")),
    responses((status = 204), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn delete_app(
    auth: Authorized,
    At(app): At<AppName>,
    Query(query): Query<DeleteQuery>,
) -> Result<Response, ApiError> {
    let with = if query.data == Some(Data::Remove) { WithData::Yes } else { WithData::No };
    let once = auth.once(StatusCode::NO_CONTENT, |_, _: &Vec<DeploymentId>| ())?;
    if with == WithData::Yes {
        tenants::remove_all(&auth, &app).await?;
    }
    let done = auth.store.delete_app(app.clone(), with, once, auth.clock.now()).await?;
    let Done::Now(deployments, _) = &done else { return Ok(answered(done)) };
    for deployment in deployments {
        auth.bus.publish(Message::CancelAsked(deployment.clone()));
        for folder in ["output", "build"] {
            if let Ok(key) = format!("{folder}/{deployment}/manifest.json").parse() {
                auth.blobs.delete_object(key).await?;
            }
        }
    }
    auth.bus.publish(Message::RoutesChanged(app.clone()));
    auth.bus.publish(Message::InstancesChanged(app.clone()));
    auth.applied.wait_gone(&app, super::EDGE_WAIT).await;
    Ok(answered(done))
}
