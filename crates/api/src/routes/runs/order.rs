//! From a body to what is to be run.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use axum::body::Bytes;
use skylift_durable::{Defence, left_out};
use skylift_model::key::{Grant, Scope};
use skylift_model::meant::{listed, nearest, shown};
use skylift_model::run::{InvalidRun, Job, PRIORITY_MAX, TTL_S};
use skylift_model::wire::{Code, Language, RunBatch, RunMode, RunRequest};
use skylift_model::{RunId, Timestamp};
use skylift_queue::Order;

use crate::body;
use crate::error::ApiError;
use crate::guard::{Authorized, Runs as MayRun, demand};
use crate::runs::Runs;

/// What is asked for.
pub(crate) struct Asked {
    pub(crate) order: Order,
    pub(crate) mode: RunMode,
    /// Whether it is to be kept whatever its mode.
    pub(crate) keep: bool,
    /// When it was asked for.
    pub(crate) at: Timestamp,
}

impl Asked {
    pub(crate) fn job(&self) -> &Job {
        &self.order.job
    }

    /// How many times a program is started.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.job().stdins.len()).unwrap_or(u32::MAX)
    }
}

const RUN: &str = r#"as in {"language":"python","source":"print(40+2)"}"#;
const SEVERAL: &str = "send several runs at once to `POST /v1/runs/batch`, one as an object";
const BATCH: &str = r#"as in {"runs":[{"language":"python","source":"print(40+2)"}]}; the list by itself will do"#;

/// Whatever the `Content-Type` says: `curl -d` says that everything is a form.
pub(crate) fn parse(body: &Bytes) -> Result<RunRequest, ApiError> {
    body::parsed(body).map_err(|misfit| misfit.told(if body::is_list(body) { SEVERAL } else { RUN }))
}

/// A batch, or its list by itself.
pub(crate) fn parse_batch(body: &Bytes) -> Result<RunBatch, ApiError> {
    let batch = match body::is_list(body) {
        true => body::parsed_list(body, "runs").map(|runs| RunBatch { runs }),
        false => body::parsed(body),
    };
    batch.map_err(|misfit| misfit.told(BATCH))
}

/// What a request asks for, where all of it is allowed. `below` is where its fields lie in the body, as in `runs[3].`.
pub(crate) async fn asked(
    auth: &Authorized<MayRun>,
    request: RunRequest,
    now: Timestamp,
    below: &str,
) -> Result<Asked, ApiError> {
    let at = |field: &str| format!("{below}{field}");
    let runs = auth.runs.as_ref();
    let may_ask = request.ai;
    if may_ask {
        demand(&auth.grant, Scope::Ai).map_err(|error| error.at(&at("ai")))?;
    }
    if request.packages.is_some() && !left_out(Defence::Grant) {
        demand(&auth.grant, Scope::Packages).map_err(|error| error.at(&at("packages")))?;
    }
    check_priority(&auth.grant, request.priority).map_err(|error| error.at(&at("priority")))?;
    let language = match runs.language(&request.language).await {
        Some(language) => language,
        None => return Err(no_language(&request.language, runs).await.at(&at("language"))),
    };
    let (mode, priority, ttl_s) = (request.mode, request.priority, request.ttl_s);
    let callback = request.callback.clone().map(|callback| callback.url);
    if let Some(url) = &callback {
        (auth.may_be_told)(url).map_err(|why| not_told(url, &why).at(&at("callback.url")))?;
    }
    let mut job = request.into_job(new_id(now), &language, &runs.limits()).map_err(|why| refused(&why, below))?;
    job.sender = Some(auth.token.clone());
    job.ai = may_ask.then(|| auth.token.clone());
    if let Some((place, stray)) = job.outputs.iter().enumerate().find(|(_, text)| !runs.is_glob(text)) {
        let error = ApiError::invalid(format!("`{stray}` is no pattern of files"), "as in `*.png` or `out/**`");
        return Err(error.at(&at(&format!("outputs[{place}]"))));
    }
    let [_, usual, _] = TTL_S;
    let ttl = Duration::from_secs(ttl_s.unwrap_or(usual));
    Ok(Asked { order: Order { callback, ..Order::new(job, priority, ttl) }, mode, keep: ttl_s.is_some(), at: now })
}

/// Whoever may go before others without end leaves them no turn.
fn check_priority(grant: &Grant, asked: i32) -> Result<(), ApiError> {
    let most = grant.priority_max();
    if asked <= most || asked > PRIORITY_MAX || left_out(Defence::Grant) {
        return Ok(());
    }
    let message = format!("this key may ask for a priority of {most} at most, not of {asked}");
    Err(ApiError::new(
        Code::Forbidden,
        message,
        "leave `priority` out, or have the owner raise the key's `priority_max`",
    ))
}

/// 35 bits that nobody can count up to; the time is the rest of the id.
pub(crate) fn new_id(now: Timestamp) -> RunId {
    RunId::new(now, RandomState::new().hash_one(now.as_millis()))
}

fn not_told(url: &str, why: &str) -> ApiError {
    let hint = "give a public address such as https://example.org/told; others the owner may allow under [callbacks]";
    ApiError::invalid(format!("nothing is told to `{url}`: {why}"), hint)
}

fn refused(why: &InvalidRun, below: &str) -> ApiError {
    ApiError::invalid(why.to_string(), why.hint()).at(&format!("{below}{}", why.field()))
}

async fn no_language(name: &str, runs: &dyn Runs) -> ApiError {
    let languages = runs.languages().await;
    if languages.is_empty() {
        let hint = "install one where code is run, such as python3, and start that process again; `GET /v1/workers` tells who runs code";
        return ApiError::new(Code::Unavailable, "no worker has any language", hint);
    }
    if let Some((known, program)) = runs.program_of(name) {
        let there = here(&languages);
        let hint = format!("install {program} where code is run, and start that process again; t{there}");
        return ApiError::invalid(format!("`{known}` is not installed here"), hint);
    }
    ApiError::invalid(format!("there is no `{}` here", shown(name)), languages_there(name, &languages))
}

/// Which languages there are, and which of them may have been meant.
fn languages_there(name: &str, languages: &[Language]) -> String {
    let there = here(languages);
    let near = nearest(name, languages.iter().flat_map(Language::names));
    match near.and_then(|near| languages.iter().find(|language| language.is_called(near))) {
        Some(meant) => format!("did you mean `{}`? T{there}", meant.name),
        None => format!("t{there}"),
    }
}

/// Which there are, without the first letter, which is large or small.
fn here(languages: &[Language]) -> String {
    let mut names: Vec<&str> = languages.iter().map(|language| language.name.as_str()).collect();
    names.sort_unstable();
    format!("here are {}; `GET /v1/languages` tells their other names", listed(names))
}

#[cfg(test)]
mod tests;
