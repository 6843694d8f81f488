//! Jobs, above all those that were given up.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use skylift_bus::Message;
use skylift_model::JobId;
use skylift_model::wire::{ErrorEnvelope, Job, JobList};

use crate::address::{At, Query};
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;

/// Which jobs are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobQuery {
    state: Option<String>,
}

/// Jobs, newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs",
    params(("state" = Option<String>, Query, description = "`ready`, `leased` or `dead`")),
    responses((status = 200, body = JobList)))]
pub(crate) async fn list_jobs(auth: Authorized, Query(query): Query<JobQuery>) -> Result<Json<JobList>, ApiError> {
    let rows = auth.store.jobs(query.state).await?;
    let wire = |row: skylift_store::Job| Job {
        id: row.id,
        kind: row.kind_name,
        subject: row.subject,
        state: row.state,
        attempts: row.attempts,
        error: row.error,
        created_at: row.created_at,
    };
    Ok(Json(JobList { jobs: rows.into_iter().map(wire).collect() }))
}

/// Run a job again that was given up.
#[utoipa::path(post, path = "/v1/jobs/{job}/replay", tag = "jobs", params(("job" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn replay(auth: Authorized, At(job): At<JobId>) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::NO_CONTENT, |_, (): &()| ())?;
    let done = auth.store.replay(job, once, auth.clock.now()).await?;
    auth.bus.publish(Message::JobReady);
    Ok(answered(done))
}
