//! `/v1/apps/{app}/scaling`.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use skylift_bus::{Message, Received};
use skylift_model::AppName;
use skylift_model::wire::{ErrorEnvelope, Scaling, ScalingExplained, ScalingNow};
use skylift_store::Done;
use tokio::time::timeout;

use super::instances::{self, INSTANCES_MAX};
use crate::address::At;
use crate::body::Sent;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;

/// How long whoever scales may take to say why.
const EXPLAINED_WITHIN: Duration = Duration::from_secs(2);

/// How an app is scaled: as its owner set it, else as the `skylift.toml` of what is live says, else as usual.
#[utoipa::path(get, path = "/v1/apps/{app}/scaling", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = Scaling), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn get_scaling(auth: Authorized, At(app): At<AppName>) -> Result<Json<Scaling>, ApiError> {
    Ok(Json(auth.store.app(app).await?.scaling))
}

/// Set how an app is scaled. What is left out is as usual: 1 to 10 instances, CPU 50; null switches a measure off.
#[utoipa::path(put, path = "/v1/apps/{app}/scaling", tag = "apps", params(("app" = String, Path)),
    request_body = Scaling,
    responses((status = 200, body = Scaling), (status = 404, body = ErrorEnvelope),
    (status = 400, body = ErrorEnvelope)))]
pub(crate) async fn set_scaling(
    auth: Authorized,
    At(app): At<AppName>,
    Sent(scaling): Sent<Scaling>,
) -> Result<Response, ApiError> {
    check(&scaling)?;
    let once = auth.once(StatusCode::OK, |_, scaling: &Scaling| scaling.clone())?;
    let done = auth.store.set_scaling(app.clone(), scaling, once, auth.clock.now()).await?;
    if matches!(done, Done::Now(..)) {
        auth.bus.publish(Message::InstancesChanged(app));
    }
    Ok(answered(done))
}

/// Forget what was set: `[scale]` of the `skylift.toml` of what is live counts again, or what is usual.
#[utoipa::path(delete, path = "/v1/apps/{app}/scaling", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = Scaling), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn reset_scaling(auth: Authorized, At(app): At<AppName>) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::OK, |_, scaling: &Scaling| scaling.clone())?;
    let done = auth.store.reset_scaling(app.clone(), once, auth.clock.now()).await?;
    if matches!(done, Done::Now(..)) {
        auth.bus.publish(Message::InstancesChanged(app));
    }
    Ok(answered(done))
}

/// Why an app has as many instances as it has.
#[utoipa::path(get, path = "/v1/apps/{app}/scaling/explain", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = ScalingExplained), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn explain_scaling(
    auth: Authorized,
    At(app): At<AppName>,
) -> Result<Json<ScalingExplained>, ApiError> {
    let row = auth.store.app(app.clone()).await?;
    let steps = auth.store.scaling_steps(app.clone()).await?;
    let now = ask_why(&auth, app).await;
    let waits_for = instances::waits_for(&auth, &row).await?;
    let (scaling, stopped, wanted) = (row.scaling, row.stopped, row.instances);
    Ok(Json(ScalingExplained { scaling, stopped, wanted, waits_for, now, steps }))
}

/// Whoever scales may be another process, so it is asked over the bus.
async fn ask_why(auth: &Authorized, app: AppName) -> Option<ScalingNow> {
    let mut messages = auth.bus.subscribe();
    auth.bus.publish(Message::ExplainAsked(app.clone()));
    let explained = async {
        loop {
            match messages.next().await {
                Received::Message(Message::Explained(about, json)) if about == app => return Some(json),
                Received::Closed => return None,
                Received::Message(_) | Received::Missed => {}
            }
        }
    };
    let json = timeout(EXPLAINED_WITHIN, explained).await.ok().flatten()?;
    serde_json::from_str::<Option<ScalingNow>>(&json).ok().flatten()
}

fn check(scaling: &Scaling) -> Result<(), ApiError> {
    let Scaling { min, max, cpu, in_flight, rps, hold_seconds, idle_seconds } = scaling;
    let refuse = |what: &str, hint: &str| Err(ApiError::invalid(what.to_owned(), hint));
    if *max == 0 || *max > INSTANCES_MAX {
        return refuse("max is 1 to 100", "`skylift scale APP 0` stops an app");
    }
    if min > max {
        return refuse("min is larger than max", "set both, such as `--min 1 --max 10`");
    }
    if cpu.is_some_and(|percent| percent == 0 || percent > 100) {
        return refuse("cpu is a percentage of what an instance may use, 1 to 100", "50 is usual");
    }
    if [in_flight, rps].into_iter().flatten().any(|target| *target == 0 || *target > 1_000_000) {
        return refuse("in_flight and rps are 1 to 1000000 for each instance", "leave out what is not to be measured");
    }
    if *hold_seconds > 86_400 || *idle_seconds > 86_400 {
        return refuse("hold_seconds and idle_seconds are a day (86400) at most", "90 is usual");
    }
    Ok(())
}
