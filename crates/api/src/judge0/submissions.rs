//! `/submissions`: made, told, listed, deleted.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use skylift_model::run::{Job, TTL_S};
use skylift_model::wire::Code;
use skylift_model::{RunId, TokenId};
use skylift_queue::Order;
use skylift_store::{Once, RunRow};

use super::fields::{Fields, NotText, Submission};
use super::refusal::Refusal;
use super::submission::{Note, Reading, language_id};
use super::{NAME, languages, status};
use crate::address::Query;
use crate::allowance;
use crate::answers::Hold;
use crate::body::Plain;
use crate::disk;
use crate::error::ApiError;
use crate::guard::{Authorized, Runs as MayRun};
use crate::routes::runs::order::new_id;
use crate::routes::runs::whose;

const BATCH_MAX: usize = 20;
const PAGE: u32 = 20;
const PAGE_MAX: u32 = 100;
const NOT_TEXT: &str =
    "some attributes for this submission cannot be converted to UTF-8, use base64_encoded=true query parameter";
const SOME_NOT_TEXT: &str = "some attributes for one or more submissions cannot be converted to UTF-8, use \
    base64_encoded=true query parameter";

type Asked = HashMap<String, String>;

fn is_true(asked: &Asked, name: &str) -> bool {
    asked.get(name).is_some_and(|value| value == "true")
}

fn fields(asked: &Asked) -> Result<Fields, Refusal> {
    Fields::parse(asked.get("fields").map(String::as_str))
}

/// What of a run is needed to tell it as a submission.
struct Kept {
    row: RunRow,
    job: Job,
    note: Note,
    ending: Option<skylift_model::run::Ending>,
}

impl Kept {
    async fn of(auth: &Authorized<MayRun>, row: RunRow) -> Result<Self, Refusal> {
        let job = auth.queue.job(&row).await?;
        // A run that was not submitted here is none of these.
        let note = Note::of(&job).filter(|_| row.via.as_deref() == Some(NAME)).ok_or_else(Refusal::not_found)?;
        let ending = auth.queue.ending(&row).await?;
        Ok(Self { row, job, note, ending })
    }

    async fn find(auth: &Authorized<MayRun>, token: &str) -> Result<Self, Refusal> {
        let id: RunId = token.parse().map_err(|_| Refusal::not_found())?;
        Self::of(auth, auth.store.run(id, whose(auth)).await?).await
    }

    fn submission(&self) -> Submission<'_> {
        Submission::new(&self.row, &self.job, &self.note, self.ending.as_ref())
    }

    fn told(&self, fields: &Fields, base64: bool) -> Result<Map<String, Value>, NotText> {
        self.submission().render(fields, base64)
    }
}

/// `POST /submissions`
pub(super) async fn create(
    auth: Authorized<MayRun>,
    Query(asked): Query<Asked>,
    Plain(body): Plain,
) -> Result<Response, Refusal> {
    let (fields, base64) = (fields(&asked)?, is_true(&asked, "base64_encoded"));
    has_room(&auth, 1).await?;
    let sent = object(&body)?;
    let order = order(&auth, &sent, base64).await?.map_err(Refusal::Fields)?;
    let id = order.job.id.clone();
    if !is_true(&asked, "wait") {
        allowance::pay(&auth, starts(&order)).await?;
        auth.queue.add(&auth.token, vec![order], Once::default()).await?;
        return Ok(created(json!({ "token": id })));
    }
    let turn = allowance::take(&auth, starts(&order)).await?;
    // From here on its end is not missed.
    let waiter = auth.waiting.wait_for(&id);
    auth.queue.add(&auth.token, vec![order], Once::default()).await?;
    let row = waiter.settled().await.ok_or_else(stopping)?;
    let told = Kept::of(&auth, row).await?.told(&fields, base64);
    let told = created(told.map_or_else(|NotText| json!({ "error": NOT_TEXT, "token": id }), Value::Object));
    Ok(Hold::new(turn, None).until_sent(told))
}

fn created(value: Value) -> Response {
    (StatusCode::CREATED, Json(value)).into_response()
}

fn stopping() -> Refusal {
    let hint = "ask for the submission by its token, or send it again in a moment";
    ApiError::new(Code::Unavailable, "the platform is being stopped", hint).into()
}

/// `POST /submissions/batch`
pub(super) async fn create_batch(
    auth: Authorized<MayRun>,
    Query(asked): Query<Asked>,
    Plain(body): Plain,
) -> Result<Response, Refusal> {
    let base64 = is_true(&asked, "base64_encoded");
    let sent = object(&body)?;
    let submissions = sent.get("submissions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    batch_size(submissions.len())?;
    has_room(&auth, submissions.len()).await?;
    let (mut orders, mut answers) = (Vec::new(), Vec::with_capacity(submissions.len()));
    for sent in submissions {
        let sent = sent.as_object().ok_or_else(|| Refusal::bad("a submission is an object"))?;
        answers.push(match order(&auth, sent, base64).await? {
            Ok(order) => {
                let token = json!({ "token": order.job.id });
                orders.push(order);
                token
            }
            Err(faults) => Value::Object(faults),
        });
    }
    if orders.is_empty() {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(answers)).into_response());
    }
    allowance::pay(&auth, orders.iter().map(starts).sum()).await?;
    auth.queue.add(&auth.token, orders, Once::default()).await?;
    Ok(created(Value::Array(answers)))
}

fn batch_size(count: usize) -> Result<(), Refusal> {
    match count {
        0 => Err(Refusal::bad("there should be at least one submission in a batch")),
        count if count > BATCH_MAX => {
            Err(Refusal::bad(format!("number of submissions in a batch should be less than or equal to {BATCH_MAX}")))
        }
        _ => Ok(()),
    }
}

/// Whatever the `Content-Type` says.
fn object(body: &Bytes) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("the body is not a JSON object: {error}")))
}

async fn has_room(auth: &Authorized<MayRun>, more: usize) -> Result<(), Refusal> {
    disk::admit_kept(auth)?;
    let more = u32::try_from(more).unwrap_or(u32::MAX);
    let Some(than) = auth.judge0.queue_max.checked_sub(more) else { return Err(Refusal::full()) };
    if auth.store.are_more_runs_queued(than).await? { Err(Refusal::full()) } else { Ok(()) }
}

fn starts(order: &Order) -> u32 {
    u32::try_from(order.job.stdins.len()).unwrap_or(u32::MAX)
}

/// What is to be run, or what is wrong with which field.
async fn order(
    auth: &Authorized<MayRun>,
    sent: &Map<String, Value>,
    base64: bool,
) -> Result<Result<Order, Map<String, Value>>, Refusal> {
    let language = match language_id(sent).and_then(languages::ours) {
        Some(name) => auth.runs.language(name).await,
        None => None,
    };
    let may_be_told = Arc::clone(&auth.may_be_told);
    let known = auth.runs.limits();
    let reading = Reading { base64, known: &known, language: language.as_ref(), may_be_told: may_be_told.as_ref() };
    let [_, ttl_s, _] = TTL_S;
    let sender = Some(auth.token.clone());
    Ok(reading.read(sent, new_id(auth.clock.now())).map(|(job, note)| Order {
        via: Some(NAME),
        callback: note.callback_url,
        ..Order::new(Job { sender, ..job }, 0, std::time::Duration::from_secs(ttl_s))
    }))
}

/// `GET /submissions/{token}`
pub(super) async fn show(
    auth: Authorized<MayRun>,
    Path(token): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Refusal> {
    let (fields, base64) = (fields(&asked)?, is_true(&asked, "base64_encoded"));
    let told = Kept::find(&auth, &token).await?.told(&fields, base64);
    told.map(|told| Json(Value::Object(told))).map_err(|NotText| Refusal::bad(NOT_TEXT))
}

/// `GET /submissions/batch`
pub(super) async fn show_batch(
    auth: Authorized<MayRun>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let (fields, base64) = (fields(&asked)?, is_true(&asked, "base64_encoded"));
    let header = headers.get("tokens").and_then(|value| value.to_str().ok());
    let tokens = header.or_else(|| asked.get("tokens").map(String::as_str)).unwrap_or_default();
    let tokens: Vec<&str> = tokens.trim().split(',').filter(|token| !token.is_empty()).collect();
    batch_size(tokens.len())?;
    let mut submissions = Vec::with_capacity(tokens.len());
    for token in tokens {
        submissions.push(match Kept::find(&auth, token.trim()).await {
            Ok(kept) => Value::Object(kept.told(&fields, base64).map_err(|NotText| Refusal::bad(SOME_NOT_TEXT))?),
            Err(Refusal::Says(StatusCode::NOT_FOUND, _)) => Value::Null,
            Err(refusal) => return Err(refusal),
        });
    }
    Ok(Json(json!({ "submissions": submissions })))
}

/// `GET /submissions`
pub(super) async fn list(auth: Authorized<MayRun>, Query(asked): Query<Asked>) -> Result<Json<Value>, Refusal> {
    let (fields, base64) = (fields(&asked)?, is_true(&asked, "base64_encoded"));
    let page = number(&asked, "page", 1)?;
    let per_page = number(&asked, "per_page", PAGE)?.min(PAGE_MAX);
    let of: Option<TokenId> = whose(&auth);
    let after = (page - 1).saturating_mul(per_page);
    let (rows, all) = auth.store.runs_via(NAME, of, after, per_page).await?;
    let mut submissions = Vec::with_capacity(rows.len());
    for row in rows {
        let told = Kept::of(&auth, row).await?.told(&fields, base64);
        submissions.push(told.map_err(|NotText| Refusal::bad(SOME_NOT_TEXT))?);
    }
    let pages = all.div_ceil(u64::from(per_page));
    let meta = json!({
        "current_page": page,
        "next_page": (u64::from(page) < pages).then_some(page.saturating_add(1)),
        "prev_page": (page > 1).then_some(page - 1),
        "total_pages": pages,
        "total_count": all,
    });
    Ok(Json(json!({ "submissions": submissions, "meta": meta })))
}

/// A number of at least 1.
fn number(asked: &Asked, name: &str, usual: u32) -> Result<u32, Refusal> {
    let Some(text) = asked.get(name) else { return Ok(usual) };
    let number = text.trim().parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Refusal::bad(format!("invalid {name}: {text}")))
}

/// `DELETE /submissions/{token}`
pub(super) async fn delete(
    auth: Authorized<MayRun>,
    Path(token): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Refusal> {
    let fields = fields(&asked)?;
    if !auth.judge0.delete {
        return Err(Refusal::bad("delete not allowed"));
    }
    let kept = Kept::find(&auth, &token).await?;
    let id = kept.submission().status();
    if id <= status::PROCESSING {
        let text = status::description(id);
        return Err(Refusal::bad(format!("submission cannot be deleted because its status is {id} ({text})")));
    }
    auth.store.forget_run(kept.row.id.clone(), whose(&auth)).await?;
    // In base 64 everything is text.
    Ok(Json(Value::Object(kept.told(&fields, true).unwrap_or_default())))
}
