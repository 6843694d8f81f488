//! From a body to what is to be run.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use axum::body::Bytes;
use serde::de::DeserializeOwned;
use skylift_durable::{Defence, left_out};
use skylift_model::key::Scope;
use skylift_model::run::{InvalidRun, Job, TTL_S};
use skylift_model::wire::{Code, RunMode, RunRequest};
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

/// Whatever the `Content-Type` says: `curl -d` says that everything is a form.
pub(crate) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    body::parsed(body).map_err(|error| {
        ApiError::new(
            Code::BadRequest,
            format!("the body is not a run: {error}"),
            r#"as in {"language":"python","source":"print(40+2)"}"#,
        )
    })
}

/// What a request asks for, where all of it is allowed.
pub(crate) async fn asked(auth: &Authorized<MayRun>, request: RunRequest, now: Timestamp) -> Result<Asked, ApiError> {
    let runs = auth.runs.as_ref();
    let may_ask = request.ai;
    if may_ask {
        demand(&auth.grant, Scope::Ai)?;
    }
    if request.packages.is_some() && !left_out(Defence::Grant) {
        demand(&auth.grant, Scope::Packages)?;
    }
    let language = match runs.language(&request.language).await {
        Some(language) => language,
        None => return Err(no_language(&request.language, runs).await),
    };
    let (mode, priority, ttl_s) = (request.mode, request.priority, request.ttl_s);
    let callback = request.callback.clone().map(|callback| callback.url);
    if let Some(url) = &callback {
        (auth.may_be_told)(url).map_err(|why| not_told(url, &why))?;
    }
    let mut job = request.into_job(new_id(now), &language, &runs.limits()).map_err(refused)?;
    job.sender = Some(auth.token.clone());
    job.ai = may_ask.then(|| auth.token.clone());
    if let Some(stray) = job.outputs.iter().find(|text| !runs.is_glob(text)) {
        let message = format!("`{stray}` in `outputs` is no pattern of files");
        return Err(ApiError::invalid(message, "as in `*.png` or `out/**`"));
    }
    let [_, usual, _] = TTL_S;
    let ttl = Duration::from_secs(ttl_s.unwrap_or(usual));
    Ok(Asked { order: Order { callback, ..Order::new(job, priority, ttl) }, mode, keep: ttl_s.is_some() })
}

/// 35 bits that nobody can count up to; the time is the rest of the id.
pub(crate) fn new_id(now: Timestamp) -> RunId {
    RunId::new(now, RandomState::new().hash_one(now.as_millis()))
}

fn not_told(url: &str, why: &str) -> ApiError {
    let hint = "give a public address such as https://example.org/told; others the owner may allow under [callbacks]";
    ApiError::invalid(format!("nothing is told to `{url}`: {why}"), hint)
}

fn refused(why: InvalidRun) -> ApiError {
    ApiError::invalid(why.to_string(), why.hint())
}

async fn no_language(name: &str, runs: &dyn Runs) -> ApiError {
    let names: Vec<String> = runs.languages().await.into_iter().map(|language| language.name).collect();
    if names.is_empty() {
        let hint = "install one where code is run, such as python3, and start that process again; `GET /v1/workers` tells who runs code";
        return ApiError::new(Code::Unavailable, "no worker has any language", hint);
    }
    ApiError::invalid(format!("there is no language `{name}` here"), format!("there are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_as_what_it_is_and_a_wrong_word_is_named() {
        let request: RunRequest = parse(&Bytes::from_static(br#"{"language":"python","source":"print(1)"}"#)).unwrap();
        assert_eq!(request.source.as_deref(), Some("print(1)"));
        for (body, told) in
            [(r#"{"language":"python","code":""}"#, "unknown field `code`"), ("language=python", "expected value")]
        {
            let error = parse::<RunRequest>(&Bytes::from_static(body.as_bytes())).unwrap_err();
            assert!(format!("{error:?}").contains(told), "{error:?}");
        }
    }
}
