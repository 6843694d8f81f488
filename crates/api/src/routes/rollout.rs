//! `/v1/apps/{app}/rollout`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use skylift_bus::Message;
use skylift_model::wire::{ErrorEnvelope, Rollout};
use skylift_model::{AppName, DeploymentId};
use skylift_store::{Done, RolloutSeen, Steer};

use crate::address::At;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;

/// The rollout of an app that is under way, or its last.
#[utoipa::path(get, path = "/v1/apps/{app}/rollout", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = Rollout), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn get_rollout(auth: Authorized, At(app): At<AppName>) -> Result<Json<Rollout>, ApiError> {
    Ok(Json(view(auth.store.rollout(app).await?)))
}

/// Hold a rollout where it is.
#[utoipa::path(post, path = "/v1/apps/{app}/rollout/pause", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = Rollout), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn pause_rollout(auth: Authorized, At(app): At<AppName>) -> Result<Response, ApiError> {
    steer(&auth, app, Steer::Pause).await
}

/// Let a rollout go on that was held; the step it is in begins anew.
#[utoipa::path(post, path = "/v1/apps/{app}/rollout/resume", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = Rollout), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn resume_rollout(auth: Authorized, At(app): At<AppName>) -> Result<Response, ApiError> {
    steer(&auth, app, Steer::Resume).await
}

/// Give the new version all requests as soon as there are instances for them.
#[utoipa::path(post, path = "/v1/apps/{app}/rollout/promote", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = Rollout), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn promote_rollout(auth: Authorized, At(app): At<AppName>) -> Result<Response, ApiError> {
    steer(&auth, app, Steer::Promote).await
}

/// Give all requests back to the old version; answers once no edge asks the new one any more. Its deployment has failed.
#[utoipa::path(post, path = "/v1/apps/{app}/rollout/abort", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = Rollout), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn abort_rollout(auth: Authorized, At(app): At<AppName>) -> Result<Response, ApiError> {
    steer(&auth, app, Steer::Abort).await
}

async fn steer(auth: &Authorized, app: AppName, steer: Steer) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::OK, |_, seen: &RolloutSeen| view(seen.clone()))?;
    let done = auth.store.steer_rollout(app.clone(), steer, once, auth.clock.now()).await?;
    if let Done::Now(seen, _) = &done {
        tracing::info!(app = %app, deployment.id = %seen.row.deployment, state = %seen.row.state, "a rollout was steered");
        auth.bus.publish(Message::InstancesChanged(app.clone()));
        if steer == Steer::Abort {
            withdrawn(auth, app.clone(), seen.row.deployment.clone());
            let generation = auth.store.app(app.clone()).await?.generation;
            auth.wait_for_edges(&app, generation).await;
        }
    }
    Ok(answered(done))
}

/// Tells everybody who works on a deployment or follows it that its rollout was aborted.
pub(super) fn withdrawn(auth: &Authorized, app: AppName, deployment: DeploymentId) {
    for message in [
        Message::RoutesChanged(app.clone()),
        Message::InstancesChanged(app),
        Message::CancelAsked(deployment.clone()),
        Message::DeploymentChanged(deployment),
        Message::JobReady,
    ] {
        auth.bus.publish(message);
    }
}

fn view(seen: RolloutSeen) -> Rollout {
    let RolloutSeen { row, settings, wanted, ready, old_ready } = seen;
    Rollout {
        app: row.app,
        deployment: row.deployment,
        old: row.old,
        strategy: row.strategy,
        state: row.state,
        step: row.step,
        share_percent: u32::from(row.share / 100),
        step_at: row.step_at,
        settings,
        wanted,
        ready,
        old_ready,
        began_at: row.began_at,
        ended_at: row.ended_at,
        reason: row.reason,
    }
}
