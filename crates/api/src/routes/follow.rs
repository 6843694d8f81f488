//! Events and logs, as they are and as they come.

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use skylift_model::wire::ErrorEnvelope;
use skylift_model::{AppName, DeploymentId, InstanceId};

use crate::address::{At, Query};
use crate::attached::Client;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::sse::{Follow, Range, last_event_id, stream};

/// What of a log is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    /// Only the last so many lines of what is stored.
    tail: Option<u64>,
    /// Whether to go on until the deployment has settled; the default.
    follow: Option<bool>,
    /// Whether to go on for as long as it is live and runs.
    running: Option<bool>,
    /// Of a command that runs once: whether it is to end where this client goes.
    attached: Option<bool>,
}

/// A deployment's events as server-sent events; the stream ends when it has settled.
#[utoipa::path(get, path = "/v1/deployments/{deployment}/events", tag = "deployments",
    params(("deployment" = String, Path), ("last-event-id" = Option<u64>, Header)),
    responses((status = 200, content_type = "text/event-stream"), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn events(
    auth: Authorized,
    At(id): At<DeploymentId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    auth.store.deployment(id.clone()).await?;
    let range = Range { after: last_event_id(&headers), follow: true, running: false };
    Ok(stream(auth.services(), id, Follow::Events, range, None).into_response())
}

/// A deployment's build log as server-sent events; the stream ends when it has settled.
#[utoipa::path(get, path = "/v1/deployments/{deployment}/logs", tag = "deployments",
    params(("deployment" = String, Path), ("tail" = Option<u64>, Query), ("follow" = Option<bool>, Query),
    ("running" = Option<bool>, Query), ("last-event-id" = Option<u64>, Header)),
    responses((status = 200, content_type = "text/event-stream"), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn logs(
    auth: Authorized,
    At(id): At<DeploymentId>,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    auth.store.deployment(id.clone()).await?;
    log_stream(auth, id, query, &headers).await
}

/// What an instance printed, as server-sent events; the stream ends when the instance has.
#[utoipa::path(get, path = "/v1/instances/{instance}/logs", tag = "apps",
    params(("instance" = String, Path), ("tail" = Option<u64>, Query), ("follow" = Option<bool>, Query),
    ("attached" = Option<bool>, Query, description = "of a command that runs once: whether it is to end where this client goes"),
    ("last-event-id" = Option<u64>, Header)),
    responses((status = 200, content_type = "text/event-stream"), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn instance_logs(
    auth: Authorized,
    At(instance): At<InstanceId>,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = auth.store.instance(instance).await?;
    let (deployment, step) = (row.deployment.clone(), row.log_step().to_owned());
    let before_tail = match query.tail {
        Some(tail) => auth.store.log_tail_of(deployment.clone(), step, tail).await?,
        None => 0,
    };
    let after = last_event_id(&headers).max(before_tail);
    let range = Range { after, follow: query.follow.unwrap_or(true), running: false };
    let is_client = query.attached.unwrap_or(false) && row.command.is_some();
    let client = is_client.then(|| Client::join(auth.services(), row.id.clone()));
    Ok(stream(auth.services(), deployment, Follow::Instance(Box::new(row)), range, client).into_response())
}

/// The log of what is live of an app; of its newest deployment, where nothing is.
#[utoipa::path(get, path = "/v1/apps/{app}/logs", tag = "apps",
    params(("app" = String, Path), ("tail" = Option<u64>, Query), ("follow" = Option<bool>, Query),
    ("running" = Option<bool>, Query)),
    responses((status = 200, content_type = "text/event-stream"), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn app_logs(
    auth: Authorized,
    At(app): At<AppName>,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if let Some(live) = auth.store.app(app.clone()).await?.live {
        return log_stream(auth, live, query, &headers).await;
    }
    let newest = auth.store.deployments(Some(app.clone()), 1).await?.pop();
    let newest = newest.ok_or_else(|| {
        ApiError::not_found(
            &format!("deployment of app `{app}` yet"),
            format!("`skylift deploy --app {app}` makes the first"),
        )
    })?;
    log_stream(auth, newest.id, query, &headers).await
}

async fn log_stream(
    auth: Authorized,
    id: DeploymentId,
    query: LogQuery,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let seen = last_event_id(headers);
    let before_tail = match query.tail {
        Some(tail) => auth.store.log_length(id.clone()).await?.saturating_sub(tail),
        None => 0,
    };
    let (follow, running) = (query.follow.unwrap_or(true), query.running.unwrap_or(false));
    let range = Range { after: seen.max(before_tail), follow, running };
    Ok(stream(auth.services(), id, Follow::Logs, range, None).into_response())
}
