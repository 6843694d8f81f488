//! `GET /v1/runs/connect`: a run whose client talks to it while it goes on.

use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use skylift_model::Timestamp;
use skylift_model::run::{Ending, Job, Step, signal_number};
use skylift_model::wire::{Code, ErrorEnvelope, RunSent, RunTold};

use super::{order, view};
use crate::attended::{Close, Dialect, First, Line, Said, attend};
use crate::body::{self, RUN_BYTES_MAX};
use crate::error::ApiError;
use crate::guard::{Authorized, Runs as MayRun};
use crate::origin;
use crate::routes::runs::Cut;

/// How long a client may take to say what is to be run: a large run, on a slow line.
const SAID_WITHIN: Duration = Duration::from_secs(5);
/// How many bytes a later message may have.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

const DONE: Close = Close(1000, "done");
const REFUSED: Close = Close(1008, "refused");
const FAILED: Close = Close(1011, "not run");
const LATER: Close = Close(1013, "try again later");
const TOO_LONG: Close = Close(1009, "too long");

/// Run code and talk to it, over a WebSocket. The first message is a `RunRequest` (its `mode` does not matter), within 5 s; those after it are `RunSent`.
/// What is told are messages of `RunTold`, the last of them `done` or `error`; then it is closed. Whoever goes ends the run.
#[utoipa::path(get, path = "/v1/runs/connect", tag = "runs",
    responses((status = 101, description = "a WebSocket; what is told in it", body = RunTold),
    (status = 400, description = "no request for a WebSocket", body = ErrorEnvelope), (status = 401, body = ErrorEnvelope),
    (status = 403, body = ErrorEnvelope),
    (status = 409, description = "runs are run by other processes, which hear nothing while they run", body = ErrorEnvelope)))]
pub(crate) async fn connect_run(
    auth: Authorized<MayRun>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade_of(&headers, upgrade)?;
    if !auth.runs.hears() {
        let hint =
            "send the run and its whole input with `POST /v1/runs`, or connect to a process that runs code itself";
        return Err(ApiError::new(
            Code::Conflict,
            "runs are run by other processes, which hear nothing while they run",
            hint,
        ));
    }
    Ok(upgrade.on_upgrade(move |socket| talk(socket, auth)))
}

/// What becomes a WebSocket with bounded messages, for who may have one.
pub(crate) fn upgrade_of(
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<WebSocketUpgrade, ApiError> {
    origin::check(headers)?;
    let upgrade = upgrade.map_err(|why| {
        ApiError::new(
            Code::BadRequest,
            format!("this is for WebSockets: {why}"),
            "connect with a client of WebSockets, over HTTP/1.1",
        )
    })?;
    Ok(upgrade.max_message_size(RUN_BYTES_MAX).max_frame_size(RUN_BYTES_MAX))
}

async fn talk(socket: WebSocket, auth: Authorized<MayRun>) {
    let mut line = Line(socket);
    let now = auth.clock.now();
    let said = match line.first(SAID_WITHIN).await {
        First::Text(text) => Bytes::from(text),
        First::Gone => return,
        First::Late => {
            let late = ApiError::new(
                Code::BadRequest,
                format!("nothing was said within {SAID_WITHIN:?}"),
                r#"say what is to be run, as in {"language":"python","source":"print(input())"}"#,
            );
            return line.part(vec![error_text(&late)], REFUSED).await;
        }
    };
    let asked = async {
        let request: skylift_model::wire::RunRequest = order::parse(&said)?;
        if !request.stdins.is_empty() {
            return Err(ApiError::invalid(
                "who is connected sends one input",
                "leave `stdins` out; `stdin` may be its beginning",
            ));
        }
        order::asked(&auth, request, now, "").await
    };
    match asked.await {
        Ok(asked) => {
            let dialect = Own { job: asked.job().clone(), created_at: now };
            attend(line, auth, asked, dialect).await;
        }
        Err(error) => line.part(vec![error_text(&error)], REFUSED).await,
    }
}

fn error_text(error: &ApiError) -> String {
    text(&RunTold::Error(error.body().clone()))
}

fn text(told: &RunTold) -> String {
    // Plain structs: serialising them cannot fail.
    serde_json::to_string(told).unwrap_or_default()
}

/// Our own way to speak.
struct Own {
    job: Job,
    created_at: Timestamp,
}

impl Dialect for Own {
    fn heard(&mut self, text: &str) -> Said {
        said(text)
    }

    fn compiled(&mut self, _: &Step) -> Vec<String> {
        Vec::new()
    }

    fn began(&mut self) -> Vec<String> {
        vec![text(&RunTold::Running { id: self.job.id.clone() })]
    }

    fn printed(&mut self, cut: &Cut) -> String {
        let data = cut.data.clone();
        text(&if cut.is_stdout { RunTold::Stdout { data } } else { RunTold::Stderr { data } })
    }

    fn ended(&mut self, ended: Result<Ending, ApiError>) -> (Vec<String>, Close) {
        match ended {
            Ok(ending) => {
                let run = view::ended(&self.job, ending, u64::MAX, self.created_at);
                (vec![text(&RunTold::Done(Box::new(run)))], DONE)
            }
            Err(error) => {
                let close = match error.body().code {
                    Code::RateLimited | Code::Unavailable => LATER,
                    Code::Internal => FAILED,
                    _ => REFUSED,
                };
                (vec![error_text(&error)], close)
            }
        }
    }
}

fn said(text: &str) -> Said {
    if text.len() > MESSAGE_BYTES_MAX {
        let error =
            ApiError::new(Code::TooLarge, format!("a message has at most {MESSAGE_BYTES_MAX} bytes"), "send several");
        return Said::Wrong(Some(error_text(&error)), TOO_LONG);
    }
    let wrong = |message: String| {
        let hint = r#"say {"stdin":"…"}, {"stdin_end":true} or {"signal":"SIGINT"}"#;
        Said::Wrong(Some(error_text(&ApiError::new(Code::BadRequest, message, hint))), REFUSED)
    };
    match body::parsed::<RunSent>(text.as_bytes()) {
        Ok(RunSent { stdin: Some(stdin), encoding, stdin_end: false, signal: None }) => match encoding.decode(stdin) {
            Some(bytes) => Said::Stdin(bytes),
            None => wrong("`stdin` is not what its `encoding` says".to_owned()),
        },
        Ok(RunSent { stdin: None, stdin_end: true, signal: None, .. }) => Said::StdinEnd,
        Ok(RunSent { stdin: None, stdin_end: false, signal: Some(name), .. }) => match signal_number(&name) {
            Some(number) => Said::Signal(number),
            None => wrong(format!("there is no signal `{name}`")),
        },
        Ok(_) => wrong("a message says one thing".to_owned()),
        Err(misfit) => wrong(format!("the message is not understood: {}", misfit.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_one_thing_and_what_is_not_understood_closes() {
        assert_eq!(said(r#"{"stdin":"a\n"}"#), Said::Stdin(b"a\n".to_vec()));
        assert_eq!(said(r#"{"stdin":"/w==","encoding":"base64"}"#), Said::Stdin(vec![0xff]));
        assert_eq!(said(r#"{"stdin_end":true}"#), Said::StdinEnd);
        assert_eq!(said(r#"{"signal":"SIGINT"}"#), Said::Signal(2));
        let wrong = |text: &str| match said(text) {
            Said::Wrong(Some(told), close) => (told, close),
            other => panic!("{text} is {other:?}"),
        };
        for text in ["", "[]", "{}", r#"{"stdin":"a","stdin_end":true}"#, r#"{"stdin":"-","encoding":"base64"}"#] {
            let (told, close) = wrong(text);
            assert!(told.contains(r#""event":"error""#) && told.contains("bad_request"), "{told}");
            assert_eq!(close, REFUSED);
        }
        assert!(wrong(r#"{"signal":"SIGNOTHING"}"#).0.contains("SIGNOTHING"));
        let (_, close) = wrong(&format!(r#"{{"stdin":"{}"}}"#, "a".repeat(MESSAGE_BYTES_MAX)));
        assert_eq!(close, TOO_LONG);
    }
}
