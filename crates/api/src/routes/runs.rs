//! `/run`, `/v1/runs`, `/v1/languages` and `/v1/limits`.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use skylift_model::RunId;
use skylift_model::run::{Encoding, Ending, InvalidRun, Job, LimitsKnown, RunState, RunStatus, Step};
use skylift_model::wire::{
    Code, ErrorEnvelope, LanguageList, Run, RunCompiled, RunOutput, RunRequest, RunStep, RunUsage,
};

use crate::allowance;
use crate::body::{self, Plain};
use crate::error::ApiError;
use crate::guard::{Authorized, Runs as MayRun};
use crate::runs::Runs;

/// Run code once and answer with its verdict. Every verdict is a 200: the program's exit code says how it went, `status` why it ended.
#[utoipa::path(post, path = "/v1/runs", tag = "runs", request_body = RunRequest,
    responses((status = 200, body = Run), (status = 401, body = ErrorEnvelope), (status = 422, body = ErrorEnvelope),
    (status = 429, body = ErrorEnvelope), (status = 503, body = ErrorEnvelope)))]
pub(crate) async fn create_run(auth: Authorized<MayRun>, Plain(body): Plain) -> Result<Json<Run>, ApiError> {
    let asked = Instant::now();
    let runs = runs(&auth)?;
    let request = parse(&body)?;
    let language = match runs.language(&request.language).await {
        Some(language) => language,
        None => return Err(no_language(&request.language, runs.as_ref()).await),
    };
    let now = auth.clock.now();
    // 35 bits that nobody can count up to; the time is the rest of the id.
    let id = RunId::new(now, RandomState::new().hash_one(now.as_millis()));
    let job = request.into_job(id, &language, &runs.limits()).map_err(refused)?;
    if let Some(stray) = job.outputs.iter().find(|text| !runs.is_glob(text)) {
        let message = format!("`{stray}` in `outputs` is no pattern of files");
        return Err(ApiError::invalid(message, "as in `*.png` or `out/**`"));
    }
    let count = u32::try_from(job.stdins.len()).unwrap_or(u32::MAX);
    let _turn = allowance::take(&auth, count).await?;
    let ending = runs.run(&job).await?;
    let whole_us = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(Json(view(&job, ending, whole_us, now)))
}

/// The same, at the address that other services have it at.
#[utoipa::path(post, path = "/run", tag = "runs", request_body = RunRequest,
    responses((status = 200, body = Run), (status = 401, body = ErrorEnvelope), (status = 422, body = ErrorEnvelope),
    (status = 429, body = ErrorEnvelope), (status = 503, body = ErrorEnvelope)))]
pub(crate) async fn run_now(auth: Authorized<MayRun>, body: Plain) -> Result<Json<Run>, ApiError> {
    create_run(auth, body).await
}

/// The languages that code can be written in, with their versions.
#[utoipa::path(get, path = "/v1/languages", tag = "runs",
    responses((status = 200, body = LanguageList), (status = 401, body = ErrorEnvelope), (status = 503, body = ErrorEnvelope)))]
pub(crate) async fn list_languages(auth: Authorized<MayRun>) -> Result<Json<LanguageList>, ApiError> {
    Ok(Json(LanguageList { languages: runs(&auth)?.languages().await }))
}

/// What runs may use, as usual and at most.
#[utoipa::path(get, path = "/v1/limits", tag = "runs",
    responses((status = 200, body = LimitsKnown), (status = 401, body = ErrorEnvelope), (status = 503, body = ErrorEnvelope)))]
pub(crate) async fn get_limits(auth: Authorized<MayRun>) -> Result<Json<LimitsKnown>, ApiError> {
    Ok(Json(runs(&auth)?.limits()))
}

fn runs(auth: &Authorized<MayRun>) -> Result<Arc<dyn Runs>, ApiError> {
    auth.runs.clone().ok_or_else(|| {
        let hint = "give the process that answers the API the role `work`";
        ApiError::new(Code::Unavailable, "no worker runs code here", hint)
    })
}

/// Whatever the `Content-Type` says: `curl -d` says that everything is a form.
fn parse(body: &Bytes) -> Result<RunRequest, ApiError> {
    body::parsed(body).map_err(|error| {
        ApiError::new(
            Code::BadRequest,
            format!("the body is not a run: {error}"),
            r#"as in {"language":"python","source":"print(40+2)"}"#,
        )
    })
}

fn refused(why: InvalidRun) -> ApiError {
    ApiError::invalid(why.to_string(), why.hint())
}

async fn no_language(name: &str, runs: &dyn Runs) -> ApiError {
    let names: Vec<String> = runs.languages().await.into_iter().map(|language| language.name).collect();
    let hint = if names.is_empty() {
        "none is on this machine: install one, such as python3, and start the platform again".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    };
    ApiError::invalid(format!("there is no language `{name}` here"), hint)
}

fn view(job: &Job, ending: Ending, whole_us: u64, created_at: skylift_model::Timestamp) -> Run {
    let encoding = job.encoding;
    let usage = usage(&ending, whole_us);
    let Verdict { status, exit_code, signal, stdout, stderr, cut } = verdict(&ending, encoding);
    let runs = if job.stdins.len() > 1 {
        ending.steps.iter().map(|step| step_view(step, encoding)).collect()
    } else {
        Vec::new()
    };
    let compile = ending.compile.as_ref();
    let compile = compile.map(|done| RunCompiled { step: step_view(&done.step, encoding), cached: done.cached });
    let files = ending.files.into_iter().map(|taken| {
        let (content, encoding) = text_or_base64(taken.file.bytes);
        RunOutput { name: taken.file.path.as_str().to_owned(), content, encoding, run: taken.run }
    });
    Run {
        id: job.id.clone(),
        language: job.language.clone(),
        version: Some(ending.version),
        state: RunState::Done,
        status: Some(status),
        exit_code,
        signal,
        stdout,
        stderr,
        stdout_truncated: cut.0,
        stderr_truncated: cut.1,
        encoding,
        compile,
        runs,
        files: files.collect(),
        usage: Some(usage),
        limits: job.limits,
        attempts: 1,
        error: None,
        created_at,
        finished_at: None,
        expires_at: None,
    }
}

/// What is told at the top.
struct Verdict {
    status: RunStatus,
    exit_code: Option<i32>,
    signal: Option<i32>,
    stdout: String,
    stderr: String,
    cut: (bool, bool),
}

fn verdict(ending: &Ending, encoding: Encoding) -> Verdict {
    match ending.decisive() {
        Some(step) => Verdict {
            status: step.status,
            exit_code: step.exit_code,
            signal: step.signal,
            stdout: encoding.encode(&step.stdout),
            stderr: encoding.encode(&step.stderr),
            cut: (step.stdout_truncated, step.stderr_truncated),
        },
        None => Verdict {
            status: RunStatus::Internal,
            exit_code: None,
            signal: None,
            stdout: String::new(),
            stderr: String::new(),
            cut: (false, false),
        },
    }
}

fn step_view(step: &Step, encoding: Encoding) -> RunStep {
    RunStep {
        status: step.status,
        exit_code: step.exit_code,
        signal: step.signal,
        stdout: encoding.encode(&step.stdout),
        stderr: encoding.encode(&step.stderr),
        stdout_truncated: step.stdout_truncated,
        stderr_truncated: step.stderr_truncated,
        usage: step.usage,
    }
}

/// Of all starts together; what is not the program's nor the worker's was spent waiting.
fn usage(ending: &Ending, whole_us: u64) -> RunUsage {
    let wall_us: u64 = ending.steps.iter().map(|step| step.usage.wall_us).sum();
    RunUsage {
        cpu_us: ending.steps.iter().map(|step| step.usage.cpu_us).sum(),
        wall_us,
        peak_memory_bytes: ending.steps.iter().map(|step| step.usage.peak_memory_bytes).max().unwrap_or_default(),
        queue_us: ending.waited_us.min(whole_us),
        dispatch_us: ending.dispatch_us,
        start: ending.start,
    }
}

fn text_or_base64(bytes: Vec<u8>) -> (String, Encoding) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, Encoding::Utf8),
        Err(error) => (Encoding::Base64.encode(error.as_bytes()), Encoding::Base64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_as_what_it_is_and_a_wrong_word_is_named() {
        let request = parse(&Bytes::from_static(br#"{"language":"python","source":"print(1)"}"#)).unwrap();
        assert_eq!(request.source.as_deref(), Some("print(1)"));
        for (body, told) in
            [(r#"{"language":"python","code":""}"#, "unknown field `code`"), ("language=python", "expected value")]
        {
            let error = parse(&Bytes::from_static(body.as_bytes())).unwrap_err();
            assert!(format!("{error:?}").contains(told), "{error:?}");
        }
    }

    #[test]
    fn what_is_no_text_leaves_in_base_64() {
        assert_eq!(text_or_base64(b"text".to_vec()), ("text".to_owned(), Encoding::Utf8));
        assert_eq!(text_or_base64(vec![0xff]), ("/w==".to_owned(), Encoding::Base64));
    }
}
