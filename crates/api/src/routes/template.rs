//! `/v1/apps/{app}/template` and `/v1/apps/{app}/instance-type`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use skylift_bus::Message;
use skylift_model::wire::{ChooseType, ChosenType, ErrorEnvelope, LaunchTemplate};
use skylift_model::{AppName, InstanceState};
use skylift_store::{Conflict, Done, StoreError, TemplateRow};

use crate::address::At;
use crate::body::Sent;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;

/// What new instances of what is live are started from.
#[utoipa::path(get, path = "/v1/apps/{app}/template", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = LaunchTemplate), (status = 404, body = ErrorEnvelope),
    (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn get_template(auth: Authorized, At(app): At<AppName>) -> Result<Json<LaunchTemplate>, ApiError> {
    let live = auth.store.app(app.clone()).await?.live;
    let found = auth.store.template(app.clone(), auth.clock.now()).await?;
    let TemplateRow { version, template, at } =
        found.ok_or_else(|| StoreError::from(Conflict::NothingRuns(app.clone())))?;
    let rows = auth.store.instances(app).await?;
    let ready = rows.iter().filter(|row| row.state == InstanceState::Ready && row.is_web());
    let (ours, older): (Vec<_>, Vec<_>) =
        ready.filter(|row| Some(&row.deployment) == live.as_ref()).partition(|row| row.template == Some(version));
    let count = |rows: Vec<_>| u32::try_from(rows.len()).unwrap_or(u32::MAX);
    Ok(Json(LaunchTemplate { version, at, ready: count(ours), older: count(older), template }))
}

/// The instance type that an app's owner chose, and those there are.
#[utoipa::path(get, path = "/v1/apps/{app}/instance-type", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = ChosenType), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn get_instance_type(auth: Authorized, At(app): At<AppName>) -> Result<Json<ChosenType>, ApiError> {
    let chosen = auth.store.app(app).await?.instance_type;
    Ok(Json(ChosenType { chosen, types: auth.store.instance_types().all().to_vec() }))
}

/// Choose the instance type of an app. Its instances are replaced one by one.
#[utoipa::path(put, path = "/v1/apps/{app}/instance-type", tag = "apps", params(("app" = String, Path)),
    request_body = ChooseType,
    responses((status = 200, body = ChosenType), (status = 404, body = ErrorEnvelope),
    (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn set_instance_type(
    auth: Authorized,
    At(app): At<AppName>,
    Sent(ChooseType { name }): Sent<ChooseType>,
) -> Result<Response, ApiError> {
    let types = auth.store.instance_types().all().to_vec();
    let view = |_: &_, chosen: &Option<String>| ChosenType { chosen: chosen.clone(), types };
    let once = auth.once(StatusCode::OK, view)?;
    let done = auth.store.choose_type(app.clone(), name, once, auth.clock.now()).await?;
    if matches!(done, Done::Now(..)) {
        auth.bus.publish(Message::InstancesChanged(app));
    }
    Ok(answered(done))
}
