//! `Idempotency-Key`, for every mutation, in one place.
//!
//! A request with a key: the token is checked, the key is read, and other requests with the same key wait for this one
//! to end. What was answered before is answered again. Otherwise the handler runs, and its answer is recorded: by the
//! transaction that has the effect ([`Authorized::once`]), or here, where there is no effect or one that is harmless to
//! repeat. Faults of ours and "not now" are never recorded.

mod in_flight;
mod key;
mod seen_body;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use skylift_model::chain;
use skylift_model::digest::Hasher;
use skylift_model::key::Scope;
use skylift_model::wire::Code;
use skylift_model::{Digest, RunId, TokenId};
use skylift_store::{Answer, Done, Idempotency, Once, StoreError};
use tracing::Instrument;

use crate::body;
use crate::disk;
use crate::error::ApiError;
use crate::guard::{AnyScope, Authorized};
use crate::services::{Services, Urls};
use in_flight::InFlight;
use seen_body::Seen;

pub(crate) use key::{HEADER, KEY_BYTES_MAX};

/// Says that an answer was given before.
const REPLAYED: &str = "idempotent-replayed";
/// How long a request waits for another one with its key to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bodies up to this size are read before the handler runs, so that one it does not look at counts as well.
const SMALL_BYTES_MAX: u64 = 64 << 10;

/// What the layer works with.
#[derive(Clone)]
pub(crate) struct Keys {
    services: Arc<Services>,
    in_flight: InFlight,
}

impl Keys {
    pub(crate) fn new(services: Arc<Services>) -> Self {
        Self { services, in_flight: InFlight::default() }
    }
}

/// The key of a request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Keyed {
    token: TokenId,
    key: String,
    /// Method and address.
    head: String,
    body: Arc<Seen>,
}

/// Marks answers that were recorded with their effect.
#[derive(Clone, Copy, Debug)]
struct Recorded;

/// The layer around every endpoint.
pub(crate) async fn layer(State(keys): State<Keys>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || !request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    answer_once(&keys, parts, body, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer_once(keys: &Keys, mut parts: Parts, body: Body, next: Next) -> Result<Response, ApiError> {
    let authorized = Authorized::<AnyScope>::from_request_parts(&mut parts, &keys.services).await?;
    let (token, key) = (authorized.token.clone(), key::parse(&parts.headers)?);
    let turn = keys.in_flight.turn((token.clone(), key.clone()), PATIENCE).await;
    let turn = turn.ok_or_else(busy)?;
    let (body, seen) = match body::announced(&parts.headers) {
        Some(length) if length <= SMALL_BYTES_MAX => {
            seen_body::known(body::whole(&parts.headers, body, SMALL_BYTES_MAX as usize).await?)
        }
        _ => seen_body::watch(body),
    };
    let address = parts.uri.path_and_query().map_or("", |address| address.as_str());
    let head = format!("{} {address}", parts.method);
    let keyed = Keyed { token: token.clone(), key: key.clone(), head, body: seen };
    if let Some((request, answer)) = authorized.store.answered(token, key).await? {
        drain(&authorized, body).await?;
        return if keyed.request() == Some(request) { Ok(replay(answer)) } else { Err(other_request()) };
    }
    parts.extensions.insert(authorized.clone().keyed(keyed.clone()));
    // By itself: where its client goes away it goes on, and who asks again with the key hears what came of it.
    let work = async move {
        let _turn = turn;
        let response = next.run(Request::from_parts(parts, body)).await;
        remember(&authorized, &keyed, response).await
    };
    tokio::spawn(work.in_current_span()).await.map_err(|error| ApiError::internal(&error))
}

impl Keyed {
    /// The digest of the whole request; `None` before its body was read to the end.
    fn request(&self) -> Option<Digest> {
        let body = self.body.digest()?;
        let mut request = Hasher::new();
        for part in [self.head.as_bytes(), b"\n", body.as_bytes()] {
            request.update(part);
        }
        Some(request.finish())
    }

    fn idempotency(&self) -> Option<Idempotency> {
        Some(Idempotency { token: self.token.clone(), key: self.key.clone(), request: self.request()? })
    }
}

impl<N> Authorized<N> {
    /// How a change whose result is a `T` is answered, for the transaction that makes it: with `status` and what `view`
    /// makes of the result. Called once the body was read.
    pub(crate) fn once<T, V: Serialize>(
        &self,
        status: StatusCode,
        view: impl FnOnce(&Urls, &T) -> V + Send + 'static,
    ) -> Result<Once<T>, ApiError> {
        let key = match &self.request_key {
            Some(keyed) => Some(keyed.idempotency().ok_or_else(body::cut_short)?),
            None => None,
        };
        let services = self.services();
        Ok(Once::new(key, move |value| {
            let body = match status {
                StatusCode::NO_CONTENT => Vec::new(),
                // Wire types are plain structs with string keys: serialising them cannot fail.
                _ => serde_json::to_vec(&view(&services.urls, value)).unwrap_or_default(),
            };
            Answer { status: status.as_u16(), body }
        }))
    }
}

/// The answer to a change, as it was recorded.
pub(crate) fn answered<T>(done: Done<T>) -> Response {
    recorded(match done {
        Done::Now(_, answer) => respond(answer),
        Done::Before(answer) => replay(answer),
    })
}

/// An answer in place of the one that was recorded with its effect: with something that is to be kept nowhere.
pub(crate) fn recorded(mut response: Response) -> Response {
    response.extensions_mut().insert(Recorded);
    response
}

fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if answer.body.is_empty() {
        return status.into_response();
    }
    let location = location(&answer);
    let mut response = (status, [("content-type", "application/json")], answer.body).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if !status.is_success() {
        response.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
    }
    response
}

/// Where what was accepted is told: of a run. It follows from what is kept, so that an answer is the same the second time.
fn location(answer: &Answer) -> Option<HeaderValue> {
    #[derive(Deserialize)]
    struct Named {
        id: RunId,
    }
    if answer.status != StatusCode::ACCEPTED.as_u16() {
        return None;
    }
    let Named { id } = serde_json::from_slice(&answer.body).ok()?;
    format!("/v1/runs/{id}").parse().ok()
}

fn replay(answer: Answer) -> Response {
    let mut response = respond(answer);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// Records an answer that no transaction recorded. Where that fails the answer is given all the same.
async fn remember(authorized: &Authorized<AnyScope>, keyed: &Keyed, mut response: Response) -> Response {
    let status = response.status();
    let is_final = !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS;
    let is_recorded = response.extensions_mut().remove::<Recorded>().is_some();
    let Some(key) = keyed.idempotency().filter(|_| is_final && !is_recorded) else { return response };
    let (parts, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return ApiError::internal(&error).into_response(),
    };
    // What is left of the disk is for what must go on; what ends a key or a run is recorded with its effect.
    let is_modest = body.len() <= SMALL_BYTES_MAX as usize && authorized.grant.covers(Scope::Everything);
    if !is_modest && disk::admit(authorized).is_err() {
        tracing::warn!("an answer is not recorded for its Idempotency-Key: the disk is full");
        return Response::from_parts(parts, Body::from(body));
    }
    let answer = Answer { status: status.as_u16(), body: body.to_vec() };
    match authorized.store.remember(key, answer, authorized.clock.now()).await {
        Ok(holds) if holds.status == status.as_u16() && holds.body == body => {}
        // Another process had the same request, and answered first.
        Ok(holds) => return replay(holds),
        Err(StoreError::IdempotencyMismatch) => return other_request().into_response(),
        Err(error) => tracing::warn!(error = chain(&error), "an answer could not be recorded for its Idempotency-Key"),
    }
    Response::from_parts(parts, Body::from(body))
}

/// Reads a body for its digest alone.
async fn drain(authorized: &Authorized<AnyScope>, mut body: Body) -> Result<(), ApiError> {
    let limits = authorized.limits;
    let bytes_max = limits.archive_bytes_max.max(limits.file_bytes_max).max(body::MANIFEST_BYTES_MAX as u64);
    let mut received = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| body::cut_short())?;
        received += frame.data_ref().map_or(0, |data| data.len() as u64);
        if received > bytes_max {
            return Err(body::too_large(bytes_max));
        }
    }
    Ok(())
}

fn other_request() -> ApiError {
    StoreError::IdempotencyMismatch.into()
}

fn busy() -> ApiError {
    ApiError::new(
        Code::Conflict,
        format!("a request with this Idempotency-Key is still being worked on after {} s", PATIENCE.as_secs()),
        "send it again later with the same key: it will get that request's answer",
    )
}
