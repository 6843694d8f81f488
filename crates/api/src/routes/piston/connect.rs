//! Piston's WebSocket.
//!
//! ```text
//! opened ──init──▶ runtime ──▶ [stage compile ──▶ exit] ──▶ stage run ──data, both ways; signal──▶ exit ──▶ 4999
//!    └ 1 s without: 4001           └ anything else that is wrong: its own code, or error and 4002
//! ```

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use skylift_model::run::{Ending, Step, signal_number};
use tokio::time::{Instant, timeout_at};

use super::refusal::Refusal;
use super::told::{End, end};
use super::{Acting, Piston};
use crate::attended::{Close, Dialect, Gone, Line, Said, attend};
use crate::error::ApiError;
use crate::guard::{Authorized, Runs as MayRun};
use crate::routes::runs::{Cut, upgrade_of};

const INIT_WITHIN: Duration = Duration::from_secs(1);

const ALREADY: Close = Close(4000, "Already Initialized");
const TIMEOUT: Close = Close(4001, "Initialization Timeout");
const NOTIFIED: Close = Close(4002, "Notified Error");
const NOT_YET: Close = Close(4003, "Not yet initialized");
const NO_STDIN: Close = Close(4004, "Can only write to stdin");
const NO_SIGNAL: Close = Close(4005, "Invalid signal");
const COMPLETED: Close = Close(4999, "Job Completed");

/// Opens one.
pub(super) async fn connect(
    State(piston): State<Piston>,
    Acting(auth): Acting,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let upgrade = upgrade_of(&headers, upgrade)?;
    if !auth.runs.hears() {
        let message = "code is run by other processes here, which hear nothing while they run: use /api/v2/execute";
        return Err(Refusal::new(axum::http::StatusCode::CONFLICT, message));
    }
    Ok(upgrade.on_upgrade(move |socket| talk(Line(socket), piston, auth)))
}

async fn talk(mut line: Line, piston: Piston, auth: Authorized<MayRun>) {
    let asked = match init(&mut line).await {
        Ok(Ok(asked)) => asked,
        Ok(Err((text, close))) => return line.part(text.into_iter().collect(), close).await,
        Err(Gone) => return,
    };
    let wanted = match piston.wanted(&asked).await {
        Ok(wanted) => wanted,
        Err(message) => return line.part(vec![error(&message)], NOTIFIED).await,
    };
    let runtime = wanted.runtime.clone();
    let mut asked = match wanted.asked(&auth, auth.clock.now()).await {
        Ok(asked) => asked,
        Err(why) => return line.part(vec![error(&why.body().message)], NOTIFIED).await,
    };
    // A conversation is told as it goes on: what may be too long for an answer is not for that.
    let limits = &mut asked.order.job.limits;
    limits.output_bytes = limits.output_bytes.max(auth.runs.limits().usual.output_bytes);
    let mut texts =
        vec![json!({"type": "runtime", "language": runtime.language, "version": runtime.version}).to_string()];
    if runtime.own.compiled {
        texts.push(stage("compile"));
    }
    if line.say_all(texts).await.is_ok() {
        attend(line, auth, asked, InPiston::default()).await;
    }
}

/// What is to be run; else what to tell, and how to close.
async fn init(line: &mut Line) -> Result<Result<Value, (Option<String>, Close)>, Gone> {
    let until = Instant::now() + INIT_WITHIN;
    loop {
        let Ok(heard) = timeout_at(until, line.hear()).await else { return Ok(Err((None, TIMEOUT))) };
        let Some(text) = heard? else { continue };
        match message(&text) {
            Ok((Kind::Init, asked)) => return Ok(Ok(asked)),
            Ok((Kind::Data | Kind::Signal, _)) => return Ok(Err((None, NOT_YET))),
            Ok((Kind::Other, _)) => {}
            Err(why) => return Ok(Err((Some(error(&why)), NOTIFIED))),
        }
    }
}

/// What a message is about.
enum Kind {
    Init,
    Data,
    Signal,
    Other,
}

fn message(text: &str) -> Result<(Kind, Value), String> {
    let message: Value = serde_json::from_str(text).map_err(|error| format!("the message is not JSON: {error}"))?;
    let kind = match message.get("type").and_then(Value::as_str) {
        Some("init") => Kind::Init,
        Some("data") => Kind::Data,
        Some("signal") => Kind::Signal,
        _ => Kind::Other,
    };
    Ok((kind, message))
}

/// Piston's way to speak of a run.
#[derive(Default)]
struct InPiston {
    began: bool,
}

impl Dialect for InPiston {
    fn heard(&mut self, text: &str) -> Said {
        said(text)
    }

    fn compiled(&mut self, step: &Step) -> Vec<String> {
        let printed =
            [("stdout", &step.stdout), ("stderr", &step.stderr)].into_iter().filter(|(_, bytes)| !bytes.is_empty());
        let mut texts: Vec<String> =
            printed.map(|(stream, bytes)| data(stream, &String::from_utf8_lossy(bytes))).collect();
        texts.push(exit("compile", step));
        texts
    }

    fn began(&mut self) -> Vec<String> {
        self.began = true;
        vec![stage("run")]
    }

    fn printed(&mut self, cut: &Cut) -> String {
        data(cut.stream(), &cut.data)
    }

    fn ended(&mut self, ended: Result<Ending, ApiError>) -> (Vec<String>, Close) {
        let ending = match ended {
            Ok(ending) => ending,
            Err(why) => return (vec![error(&why.body().message)], NOTIFIED),
        };
        let mut texts = Vec::new();
        if let Some(step) = ending.steps.first() {
            if !self.began {
                // It could not be executed at all.
                texts.push(stage("run"));
                let printed = String::from_utf8_lossy(&step.stderr);
                texts.extend((!printed.is_empty()).then(|| data("stderr", &printed)));
            }
            texts.push(exit("run", step));
        }
        (texts, COMPLETED)
    }
}

fn said(text: &str) -> Said {
    match message(text) {
        Ok((Kind::Init, _)) => Said::Wrong(None, ALREADY),
        Ok((Kind::Data, message)) if message.get("stream").and_then(Value::as_str) == Some("stdin") => {
            let data = message.get("data").and_then(Value::as_str);
            data.map_or(Said::Nothing, |data| Said::Stdin(data.as_bytes().to_vec()))
        }
        Ok((Kind::Data, _)) => Said::Wrong(None, NO_STDIN),
        Ok((Kind::Signal, message)) => {
            let number = message.get("signal").and_then(Value::as_str).and_then(signal_number);
            number.map_or(Said::Wrong(None, NO_SIGNAL), Said::Signal)
        }
        Ok((Kind::Other, _)) => Said::Nothing,
        Err(why) => Said::Wrong(Some(error(&why)), NOTIFIED),
    }
}

fn error(message: &str) -> String {
    json!({"type": "error", "message": message}).to_string()
}

fn stage(name: &str) -> String {
    json!({"type": "stage", "stage": name}).to_string()
}

fn data(stream: &str, data: &str) -> String {
    json!({"type": "data", "stream": stream, "data": data}).to_string()
}

fn exit(stage: &str, step: &Step) -> String {
    let End { code, signal, .. } = end(step);
    json!({"type": "exit", "stage": stage, "code": code, "signal": signal}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_is_understood_as_piston_does() {
        assert_eq!(said(r#"{"type":"data","stream":"stdin","data":"a"}"#), Said::Stdin(b"a".to_vec()));
        assert_eq!(said(r#"{"type":"signal","signal":"SIGTERM"}"#), Said::Signal(15));
        assert_eq!(said(r#"{"type":"init"}"#), Said::Wrong(None, ALREADY));
        assert_eq!(said(r#"{"type":"data","stream":"stdout","data":"a"}"#), Said::Wrong(None, NO_STDIN));
        assert_eq!(said(r#"{"type":"signal","signal":"TERM"}"#), Said::Wrong(None, NO_SIGNAL));
        assert_eq!(said(r#"{"type":"signal"}"#), Said::Wrong(None, NO_SIGNAL));
        assert_eq!(said(r#"{"type":"other"}"#), Said::Nothing);
        assert!(matches!(said("no"), Said::Wrong(Some(_), NOTIFIED)));
    }
}
