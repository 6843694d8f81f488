//! What an owner does with instances by hand: `restart`, `run`, ending one.

use axum::http::StatusCode;
use axum::response::Response;
use skylift_bus::Message;
use skylift_model::wire::{ErrorEnvelope, Instance, Restarted, RunCommand};
use skylift_model::{AppName, InstanceId, Timestamp};
use skylift_store::{Done, InstanceRow};

use super::instances;
use crate::address::At;
use crate::body::Sent;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;

/// How long a command may be, in bytes.
const COMMAND_BYTES_MAX: usize = 64 << 10;

/// Replace every instance of an app, one by one; answers once none from before takes requests.
#[utoipa::path(post, path = "/v1/apps/{app}/restart", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = Restarted), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn restart(auth: Authorized, At(app): At<AppName>) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::OK, |_, at: &Timestamp| Restarted { at: *at })?;
    let done = auth.store.restart(app.clone(), once, auth.clock.now()).await?;
    if let Done::Now(at, _) = &done {
        auth.bus.publish(Message::InstancesChanged(app.clone()));
        auth.wait_until_restarted(&app, *at).await?;
    }
    Ok(answered(done))
}

/// Run a command once, in a sandbox like those of the instances of what is live. Its log has what it prints.
#[utoipa::path(post, path = "/v1/apps/{app}/run", tag = "apps", params(("app" = String, Path)), request_body = RunCommand,
    responses((status = 202, body = Instance), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
    (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn run(
    auth: Authorized,
    At(app): At<AppName>,
    Sent(RunCommand { command }): Sent<RunCommand>,
) -> Result<Response, ApiError> {
    let bytes: usize = command.iter().map(String::len).sum();
    let is_empty = command.first().is_none_or(|program| program.trim().is_empty());
    if is_empty || bytes > COMMAND_BYTES_MAX || command.iter().any(|word| word.contains('\0')) {
        let message =
            format!("a command is a program and its arguments: {COMMAND_BYTES_MAX} bytes at most, none of them NUL");
        return Err(ApiError::invalid(message, "as in `skylift run APP -- python manage.py createsuperuser`"));
    }
    let once = auth.once(StatusCode::ACCEPTED, |_, row: &InstanceRow| instances::view(row.clone()))?;
    let done = auth.store.run_once(app.clone(), command, once, auth.clock.now()).await?;
    if matches!(done, Done::Now(..)) {
        auth.bus.publish(Message::InstancesChanged(app));
    }
    Ok(answered(done))
}

/// End an instance: what runs as a process of what is live is replaced by another.
#[utoipa::path(delete, path = "/v1/instances/{instance}", tag = "apps", params(("instance" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn end_instance(auth: Authorized, At(instance): At<InstanceId>) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::NO_CONTENT, |_, _: &InstanceRow| ())?;
    let done = auth.store.end_instance(instance, once, auth.clock.now()).await?;
    if let Done::Now(row, _) = &done {
        auth.bus.publish(Message::RoutesChanged(row.app.clone()));
        auth.bus.publish(Message::InstancesChanged(row.app.clone()));
    }
    Ok(answered(done))
}
