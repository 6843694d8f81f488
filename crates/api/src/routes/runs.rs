//! `/run`, `/v1/runs`, `/v1/languages` and `/v1/limits`.

mod callback;
mod connect;
mod events;
pub(crate) mod order;
mod pieces;
mod view;
mod waits;

use std::time::Instant;

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use skylift_model::key::Scope;
use skylift_model::run::{Encoding, Ending, LimitsKnown, RunState};
use skylift_model::wire::{
    ErrorEnvelope, LanguageList, Run, RunBatch, RunBatchTaken, RunBrief, RunList, RunMode, RunRequest,
};
use skylift_model::{RunId, Timestamp, TokenId};
use skylift_queue::Order;
use skylift_store::{Document, RunRow};

use crate::address::{At, Query};
use crate::allowance;
use crate::answers::Hold;
use crate::attended::{Begun, Sends};
use crate::body::Plain;
use crate::disk;
use crate::error::ApiError;
use crate::guard::{Authorized, Runs as MayRun};
use crate::idempotency::answered;
use crate::runs::{Along, Asked as Whose};
pub(crate) use connect::{__path_connect_run, connect_run, upgrade_of};
pub(crate) use order::Asked;
pub(crate) use pieces::{Cut, cut};
use waits::Waits;

pub(crate) use callback::{__path_get_callback_secret, get_callback_secret};
pub use callback::{Callback, callback};

/// How many runs a batch may have.
const BATCH_MAX: usize = 1000;
/// How many runs are listed at once, as usual and at most.
const PAGE: u32 = 50;
const PAGE_MAX: u32 = 500;

/// Run code. `sync`: answered with its verdict, and every verdict is a 200: the program's exit code says how it went, `status` why it ended.
/// `async`: 202 once it is on disk that it is to be run. `stream`: its events as they come.
#[utoipa::path(post, path = "/v1/runs", tag = "runs", request_body = RunRequest,
    responses((status = 200, body = Run), (status = 202, body = Run), (status = 401, body = ErrorEnvelope),
    (status = 422, body = ErrorEnvelope), (status = 429, body = ErrorEnvelope), (status = 503, body = ErrorEnvelope),
    (status = 507, body = ErrorEnvelope)))]
pub(crate) async fn create_run(auth: Authorized<MayRun>, Plain(body): Plain) -> Result<Response, ApiError> {
    let began = Instant::now();
    let now = auth.clock.now();
    let asked = order::asked(&auth, order::parse(&body)?, now, "").await?;
    if asked.order.callback.is_some() && asked.mode != RunMode::Async {
        let message = "`callback` is for runs that nobody waits for";
        return Err(ApiError::invalid(message, "send it with `\"mode\": \"async\"`, or in a batch"));
    }
    if asked.keep || asked.mode == RunMode::Async || auth.request_key.is_some() {
        disk::admit_kept(&auth)?;
    }
    match asked.mode {
        RunMode::Sync => run_to_end(&auth, asked, began, now).await,
        RunMode::Async => queue_one(&auth, asked, now).await,
        RunMode::Stream => stream(auth, asked, now).await,
    }
}

/// The same, at the address that other services have it at.
#[utoipa::path(post, path = "/run", tag = "runs", request_body = RunRequest,
    responses((status = 200, body = Run), (status = 202, body = Run), (status = 401, body = ErrorEnvelope),
    (status = 422, body = ErrorEnvelope), (status = 429, body = ErrorEnvelope), (status = 503, body = ErrorEnvelope),
    (status = 507, body = ErrorEnvelope)))]
pub(crate) async fn run_now(auth: Authorized<MayRun>, body: Plain) -> Result<Response, ApiError> {
    create_run(auth, body).await
}

async fn run_to_end(
    auth: &Authorized<MayRun>,
    asked: Asked,
    began: Instant,
    now: Timestamp,
) -> Result<Response, ApiError> {
    let turn = allowance::take(auth, asked.count()).await?;
    let run = auth.runs.run(asked.job(), asked_of(auth, &asked), Along::default());
    let ending = auth.under_way.unless_revoked(&auth.token, run).await?;
    let whole_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let job = asked.job().clone();
    keep(auth, asked, &ending).await?;
    let room = auth.under_way.answers.claim_for(&ending).await?;
    let told = Json(view::ended(&job, ending, whole_us, now)).into_response();
    Ok(Hold::new(turn, room).until_sent(told))
}

pub(crate) fn asked_of<'a>(auth: &'a Authorized<MayRun>, asked: &Asked) -> Whose<'a> {
    let cpu_s_per_day = auth.grant.quota.and_then(|quota| quota.cpu_s_per_day);
    Whose { token: &auth.token, cpu_s_per_day, priority: asked.order.priority }
}

pub(crate) async fn keep(auth: &Authorized<MayRun>, asked: Asked, ending: &Ending) -> Result<(), ApiError> {
    if asked.keep {
        auth.queue.keep(&auth.token, (asked.order, asked.at), ending).await?;
    }
    Ok(())
}

async fn queue_one(auth: &Authorized<MayRun>, asked: Asked, now: Timestamp) -> Result<Response, ApiError> {
    allowance::pay(auth, asked.count()).await?;
    let callback = asked.order.callback.as_deref().map(view::to_be_told);
    let told = Run { callback, ..view::pending(asked.job(), now) };
    let once = auth.once(StatusCode::ACCEPTED, move |_, _: &Vec<RunId>| told)?;
    Ok(answered(auth.queue.add(&auth.token, vec![asked.order], once).await?))
}

async fn stream(auth: Authorized<MayRun>, asked: Asked, now: Timestamp) -> Result<Response, ApiError> {
    if auth.request_key.is_some() {
        let hint = "ask with `\"mode\": \"async\"` and the key, and follow `GET /v1/runs/{id}/events`";
        return Err(ApiError::invalid("a stream is not given twice, so it takes no Idempotency-Key", hint));
    }
    let job = asked.job().clone();
    let mut begun = Begun::begin(auth, asked, Sends::default()).await?;
    let hold = std::mem::take(&mut begun.hold);
    Ok(hold.until_sent(events::stream(job, begun, now).into_response()))
}

/// Queue several runs, all of them or none; each is then as one that was asked for with `async`. The list by itself will do as well.
/// Where one is refused the message names its place, as in `runs[3].language`.
#[utoipa::path(post, path = "/v1/runs/batch", tag = "runs", request_body = RunBatch,
    responses((status = 202, body = RunBatchTaken), (status = 401, body = ErrorEnvelope),
    (status = 422, body = ErrorEnvelope), (status = 429, body = ErrorEnvelope), (status = 503, body = ErrorEnvelope),
    (status = 507, body = ErrorEnvelope)))]
pub(crate) async fn create_runs(auth: Authorized<MayRun>, Plain(body): Plain) -> Result<Response, ApiError> {
    let batch = order::parse_batch(&body)?;
    let count = batch.runs.len();
    if !(1..=BATCH_MAX).contains(&count) {
        let hint = if count == 0 { "send one at least" } else { "send several batches" };
        return Err(ApiError::invalid(format!("a batch has 1 to {BATCH_MAX} runs, not {count}"), hint).at("runs"));
    }
    disk::admit_kept(&auth)?;
    let now = auth.clock.now();
    let mut orders = Vec::with_capacity(count);
    let mut starts = 0_u32;
    for (place, request) in batch.runs.into_iter().enumerate() {
        if request.mode == RunMode::Stream {
            let hint = "leave `mode` out: what is in a batch is queued, and followed by `GET /v1/runs/{id}/events`";
            return Err(ApiError::invalid("a batch is not streamed", hint).at(&format!("runs[{place}].mode")));
        }
        let asked = order::asked(&auth, request, now, &format!("runs[{place}].")).await?;
        starts = starts.saturating_add(asked.count());
        orders.push(asked.order);
    }
    in_order(&mut orders);
    allowance::pay(&auth, starts).await?;
    let once = auth.once(StatusCode::ACCEPTED, |_, ids: &Vec<RunId>| RunBatchTaken { ids: ids.clone() })?;
    Ok(answered(auth.queue.add(&auth.token, orders, once).await?))
}

/// Has ids rise from one to the next: of what is asked for in one moment they say what comes first, and it is listed by them.
fn in_order(orders: &mut [Order]) {
    let mut ids: Vec<RunId> = orders.iter().map(|order| order.job.id.clone()).collect();
    ids.sort_unstable();
    orders.iter_mut().zip(ids).for_each(|(order, id)| order.job.id = id);
}

/// Which runs are listed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunQuery {
    state: Option<String>,
    before: Option<String>,
    limit: Option<u32>,
}

/// Runs that are kept, the newest first: a key's own, the owner's are all.
#[utoipa::path(get, path = "/v1/runs", tag = "runs",
    params(("state" = Option<String>, Query, description = "`queued`, `running`, `done`, `cancelled` or `dead`"),
    ("before" = Option<String>, Query, description = "only those older than this one"),
    ("limit" = Option<u32>, Query, description = "how many, at most 500")),
    responses((status = 200, body = RunList), (status = 401, body = ErrorEnvelope), (status = 422, body = ErrorEnvelope)))]
pub(crate) async fn list_runs(
    auth: Authorized<MayRun>,
    Query(query): Query<RunQuery>,
) -> Result<Json<RunList>, ApiError> {
    let state = query.state.map(|text| text.parse::<RunState>()).transpose();
    let state = state.map_err(|error| ApiError::invalid(error.to_string(), "as in `?state=dead`"))?;
    let before = query.before.map(|text| text.parse::<RunId>()).transpose();
    let before = before.map_err(|_| ApiError::invalid("`before` is no run's id", "as in `?before=x-1m8…`"))?;
    let limit = query.limit.unwrap_or(PAGE).min(PAGE_MAX);
    let rows = auth.store.runs(whose(&auth), state, before, limit).await?;
    let mut waits = Waits::default();
    let mut runs = Vec::with_capacity(rows.len());
    for row in &rows {
        runs.push(RunBrief { waits_for: waits.of(&auth, row).await?, ..brief(row) });
    }
    Ok(Json(RunList { runs }))
}

fn brief(row: &RunRow) -> RunBrief {
    RunBrief {
        id: row.id.clone(),
        language: row.language.clone(),
        state: row.state,
        status: row.status.clone(),
        attempts: row.attempts,
        error: row.error.clone(),
        waits_for: None,
        created_at: row.created_at,
        finished_at: row.finished_at,
        expires_at: row.expires_at,
    }
}

/// How a run is told.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TellQuery {
    encoding: Option<Encoding>,
}

/// A run that is kept; in another `encoding` than it was asked for in, where one is given.
#[utoipa::path(get, path = "/v1/runs/{run}", tag = "runs",
    params(("run" = String, Path), ("encoding" = Option<Encoding>, Query)),
    responses((status = 200, body = Run), (status = 401, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn get_run(
    auth: Authorized<MayRun>,
    At(run): At<RunId>,
    Query(query): Query<TellQuery>,
) -> Result<Response, ApiError> {
    let row = auth.store.run(run, whose(&auth)).await?;
    let hold = room_for(&auth, &row).await?;
    let mut job = auth.queue.job(&row).await?;
    job.encoding = query.encoding.unwrap_or(job.encoding);
    let ending = auth.queue.ending(&row).await?;
    let waits_for = Waits::default().of(&auth, &row).await?;
    Ok(hold.until_sent(Json(Run { waits_for, ..view::kept(&row, &job, ending) }).into_response()))
}

/// Room for what is told of a run that is kept, before any of it is read.
async fn room_for(auth: &Authorized<MayRun>, row: &RunRow) -> Result<Hold, ApiError> {
    let bytes = match &row.ending {
        Some(Document::Blob(digest)) => auth.blobs.open_file(digest).await?.map_or(0, |ending| ending.size),
        _ => 0,
    };
    Ok(Hold::new(None, auth.under_way.answers.claim(bytes).await?))
}

/// A run's events as server-sent events: its states, what it prints, and the run as it settled. They begin behind the event that `Last-Event-ID` names;
/// behind the last there are none: 204, for which a browser does not come again.
#[utoipa::path(get, path = "/v1/runs/{run}/events", tag = "runs",
    params(("run" = String, Path), ("last-event-id" = Option<String>, Header)),
    responses((status = 200, content_type = "text/event-stream"), (status = 204, description = "there are no more"),
    (status = 400, body = ErrorEnvelope), (status = 401, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn run_events(
    auth: Authorized<MayRun>,
    At(run): At<RunId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let of = whose(&auth);
    let position = events::position(&headers)?;
    let row = auth.store.run(run, of.clone()).await?;
    let Some(position) = position.within(row.state) else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let hold = room_for(&auth, &row).await?;
    let job = auth.queue.job(&row).await?;
    Ok(hold.until_sent(events::follow(auth.services(), row.id, of, job, position).into_response()))
}

/// End a run that has not settled, wherever it is.
#[utoipa::path(post, path = "/v1/runs/{run}/cancel", tag = "runs", params(("run" = String, Path)),
    responses((status = 200, body = RunBrief), (status = 401, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
    (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn cancel_run(auth: Authorized<MayRun>, At(run): At<RunId>) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::OK, |_, row: &RunRow| brief(row))?;
    Ok(answered(auth.queue.cancel(run, whose(&auth), once).await?))
}

/// Queue a run again that was given up.
#[utoipa::path(post, path = "/v1/runs/{run}/redrive", tag = "runs", params(("run" = String, Path)),
    responses((status = 202, body = RunBrief), (status = 401, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
    (status = 409, body = ErrorEnvelope), (status = 507, body = ErrorEnvelope)))]
pub(crate) async fn redrive_run(auth: Authorized<MayRun>, At(run): At<RunId>) -> Result<Response, ApiError> {
    disk::admit_kept(&auth)?;
    allowance::pay(&auth, 1).await?;
    let once = auth.once(StatusCode::ACCEPTED, |_, row: &RunRow| brief(row))?;
    Ok(answered(auth.queue.redrive(run, whose(&auth), once).await?))
}

/// The languages that code can be written in, with their versions.
#[utoipa::path(get, path = "/v1/languages", tag = "runs",
    responses((status = 200, body = LanguageList), (status = 401, body = ErrorEnvelope)))]
pub(crate) async fn list_languages(auth: Authorized<MayRun>) -> Result<Json<LanguageList>, ApiError> {
    let mut languages = auth.runs.languages().await;
    if !auth.grant.covers(Scope::Packages) {
        languages.iter_mut().for_each(|language| language.package_sets.clear());
    }
    Ok(Json(LanguageList { languages }))
}

/// What runs may use, as usual and at most.
#[utoipa::path(get, path = "/v1/limits", tag = "runs",
    responses((status = 200, body = LimitsKnown), (status = 401, body = ErrorEnvelope)))]
pub(crate) async fn get_limits(auth: Authorized<MayRun>) -> Result<Json<LimitsKnown>, ApiError> {
    Ok(Json(auth.runs.limits()))
}

/// Whose runs are seen: a key's are its own, the owner sees all.
pub(crate) fn whose(auth: &Authorized<MayRun>) -> Option<TokenId> {
    (!auth.grant.covers(Scope::Everything)).then(|| auth.token.clone())
}
