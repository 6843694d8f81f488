//! `/v1/apps/{app}/instances`.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use skylift_bus::Message;
use skylift_model::AppName;
use skylift_model::wire::{ErrorEnvelope, Instance, InstanceList, SetInstances};
use skylift_store::{Done, InstanceRow};

use super::named;
use crate::address::Path;
use crate::body;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;

/// More than any one machine runs; a slip of the finger is not to start them.
const INSTANCES_MAX: u32 = 100;

/// The instances of an app.
#[utoipa::path(get, path = "/v1/apps/{app}/instances", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = InstanceList), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn list_instances(auth: Authorized, Path(app): Path<String>) -> Result<Json<InstanceList>, ApiError> {
    list(&auth, named(&app)?).await
}

/// Set how many instances an app should have.
#[utoipa::path(put, path = "/v1/apps/{app}/instances", tag = "apps", params(("app" = String, Path)),
    request_body = SetInstances,
    responses((status = 200, body = SetInstances), (status = 404, body = ErrorEnvelope),
    (status = 400, body = ErrorEnvelope)))]
pub(crate) async fn set_instances(
    auth: Authorized,
    Path(app): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let app: AppName = named(&app)?;
    let request = body::json::<SetInstances>(&headers, body, body::JSON_BYTES_MAX).await?;
    if request.wanted > INSTANCES_MAX {
        let hint = "ask for fewer; each has the memory and CPU of [instances] in config.toml";
        return Err(ApiError::invalid(format!("an app has at most {INSTANCES_MAX} instances"), hint));
    }
    let once = auth.once(StatusCode::OK, |_, wanted: &u32| SetInstances { wanted: *wanted })?;
    let done = auth.store.set_instances(app.clone(), request.wanted, once, auth.clock.now()).await?;
    if matches!(done, Done::Now(..)) {
        auth.bus.publish(Message::InstancesChanged(app));
    }
    Ok(answered(done))
}

async fn list(auth: &Authorized, app: AppName) -> Result<Json<InstanceList>, ApiError> {
    let wanted = auth.store.app(app.clone()).await?.instances;
    let instances = auth.store.instances(app).await?.into_iter().map(view).collect();
    Ok(Json(InstanceList { wanted, instances }))
}

fn view(row: InstanceRow) -> Instance {
    let InstanceRow { id, app: _, deployment, node, state, serves: _, created_at, ready_at, ended_at, reason } = row;
    Instance { id, deployment, node, state, created_at, ready_at, ended_at, reason }
}
