//! The interface of Judge0 CE 1.13.1, on a host name of its own: its clients work by changing an address.
//!
//! A thin adapter: a submission is a run of ours, its token the run's id; whatever else Judge0 remembers of one travels as the job's
//! note. Who may, how often, and within what limits is decided by the same guard, allowance and limits as for every run.

mod fields;
mod info;
mod languages;
mod refusal;
mod status;
mod submission;
mod submissions;
mod verdict;
mod words;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_request, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use skylift_model::run::{Ending, Job};
use skylift_model::wire::Code;
use skylift_store::RunRow;

use crate::answers;
use crate::error::Told;
use crate::services::Services;
use fields::Fields;
use refusal::Refusal;
use submission::Note;

/// The label that it answers below the domain, and what its runs are noted by.
pub const NAME: &str = "judge0";

/// How it is answered.
#[derive(Clone, Copy, Debug)]
pub struct Judge0Settings {
    /// With more runs than this waiting, no submission is taken.
    pub queue_max: u32,
    /// Whether clients may delete submissions.
    pub delete: bool,
}

/// The headers that its clients send a token in.
const TOKEN_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("x-auth-token"), HeaderName::from_static("x-rapidapi-key")];
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Its endpoints.
pub fn router(services: Arc<Services>) -> Router {
    Router::new()
        .route("/submissions", get(submissions::list).post(submissions::create))
        .route("/submissions/batch", get(submissions::show_batch).post(submissions::create_batch))
        .route("/submissions/{token}", get(submissions::show).delete(submissions::delete))
        .route("/languages", get(info::languages))
        .route("/languages/all", get(info::all_languages))
        .route("/languages/{id}", get(info::language))
        .route("/statuses", get(info::statuses))
        .route("/config_info", get(info::config))
        .route("/system_info", get(info::system))
        .route("/workers", get(info::workers))
        .route("/about", get(info::about))
        .route("/version", get(info::version))
        .route("/authenticate", post(info::authenticate))
        .fallback(async || Refusal::not_found())
        .layer(from_fn_with_state(services.under_way.answers.clone(), answers::layer))
        .with_state(services)
        .layer(map_request(as_ours))
        .layer(map_response(as_theirs))
}

/// Their header for a token means what ours does, where ours is not there.
async fn as_ours(mut request: Request) -> Request {
    let headers = request.headers_mut();
    if headers.contains_key(header::AUTHORIZATION) || headers.contains_key(API_KEY) {
        return request;
    }
    let token: Option<HeaderValue> = TOKEN_HEADERS.iter().find_map(|name| headers.get(name)).cloned();
    if let Some(token) = token {
        headers.insert(API_KEY, token);
    }
    request
}

/// What our own parts refuse, in the shape of Judge0's errors, and with its own header.
async fn as_theirs(mut response: Response) -> Response {
    let Some(Told(error)) = response.extensions_mut().remove() else { return response };
    let hint = match error.code {
        Code::Unauthorized => "send a key for `runs` as `X-Auth-Token`",
        Code::Forbidden => "send a key that was made with the scope `runs` as `X-Auth-Token`",
        _ => &error.hint,
    };
    let told = Json(json!({ "error": format!("{}: {hint}", error.message) })).into_response();
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, told.into_body())
}

/// What an address is told of a submission: the usual fields, in base 64 whatever was asked for.
pub(crate) fn told(row: &RunRow, job: &Job, ending: Option<&Ending>) -> Vec<u8> {
    let Some(note) = Note::of(job) else { return b"{}".to_vec() };
    let told = fields::Submission::new(row, job, &note, ending).render(&Fields::default(), true);
    // In base 64 everything is text, and a map of texts can be written.
    told.ok().and_then(|told| serde_json::to_vec(&told).ok()).unwrap_or_default()
}
