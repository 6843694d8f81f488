//! The HTTP interface: who asks what, in order, and not too much of it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};
use skylift_model::TokenId;
use tokio::time::{Instant, timeout_at};

use crate::counted::Passing;
use crate::meter::{Meter, Tally};
use crate::metrics::Metrics;
use crate::relay::Held;
use crate::turns::Turns;
use crate::{Ask, Endpoint, Engine, Form, Limits, Models, Trouble, tokens};

/// What is told to who asks for anything else.
const ENDPOINTS: &str = "/api/generate, /api/chat, /api/embed, /api/embeddings, /api/tags, /api/show and /api/version";
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const OBJECT: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// An engine behind the interface. Cheap to clone.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    models: Models,
    limits: Limits,
    turns: Turns,
    tally: Arc<dyn Tally>,
    metrics: Arc<Metrics>,
}

/// What is spent is counted here, and told.
struct Both(Arc<Metrics>, Arc<dyn Tally>);

impl Tally for Both {
    fn spent(&self, key: &TokenId, spent: crate::Spent) {
        self.0.spent(key, spent);
        self.1.spent(key, spent);
    }
}

impl Node {
    /// One that tells `tally` what is spent.
    pub fn new(engine: Arc<dyn Engine>, models: Models, limits: Limits, tally: Arc<dyn Tally>) -> Self {
        let (turns, metrics) = (Turns::new(&limits), Arc::<Metrics>::default());
        let tally: Arc<dyn Tally> = Arc::new(Both(metrics.clone(), tally));
        Self(Arc::new(Inner { engine, models, limits, turns, tally, metrics }))
    }

    /// Its endpoints. Whoever stands before them has put the [`TokenId`] of who asks into the request's extensions; a request without
    /// one is refused.
    pub fn router(&self) -> Router {
        let mut router = Router::new();
        for endpoint in Endpoint::ALL {
            router = router.route(endpoint.path(), self.method(endpoint));
        }
        router.fallback(async || Trouble::NoEndpoint(ENDPOINTS)).method_not_allowed_fallback(async || Trouble::Method)
    }

    /// The same, with what clients ask first whether anybody is there.
    pub fn front(&self) -> Router {
        self.router().route("/", get(async || "the AI node of Skylift is running\n"))
    }

    /// Numbers since the start, as Prometheus text.
    pub fn render_metrics(&self, out: &mut String) {
        self.0.metrics.render(self.0.turns.count(), out);
    }

    /// Who is told what is spent.
    pub(crate) fn tally(&self) -> Arc<dyn Tally> {
        self.0.tally.clone()
    }

    fn method(&self, endpoint: Endpoint) -> MethodRouter {
        let node = self.clone();
        let handler =
            async move |key: Option<Extension<TokenId>>, held: Option<Extension<Arc<Held>>>, request: Request| {
                // What a run spends is held until it is over; of anybody else it is told at once.
                let tally = held.map(|Extension(held)| held as Arc<dyn Tally>).unwrap_or_else(|| node.tally());
                let answered = match key {
                    Some(Extension(key)) => node.answer(endpoint, (key, tally), request).await,
                    None => Err(Trouble::NoKey),
                };
                let response = answered.unwrap_or_else(IntoResponse::into_response);
                node.0.metrics.answered(endpoint, response.status());
                response
            };
        if endpoint.is_read() { get(handler) } else { post(handler) }
    }

    async fn answer(
        &self,
        endpoint: Endpoint,
        (key, tally): (TokenId, Arc<dyn Tally>),
        request: Request,
    ) -> Result<Response, Trouble> {
        let Inner { engine, models, limits, turns, .. } = &*self.0;
        let until = Instant::now() + limits.answer_within;
        let too_long = || Trouble::TooLong(limits.answer_within);
        // Before the body is read: who may not have it answered need not send it.
        let turn = turns.take(&key)?;
        let ask = match endpoint.is_read() {
            true => Ask { endpoint, model: String::new(), body: Bytes::new(), fields: Map::new() },
            false => read(endpoint, request, limits.request_bytes_max).await?,
        };
        if !endpoint.is_read() && !models.allow(&ask.model) {
            return Err(Trouble::UnknownModel(ask.model));
        }
        let meter = endpoint.is_work().then(|| Meter::new(tally, key, guess(&ask.fields)));
        let begun = timeout_at(until, engine.answer(ask)).await.map_err(|_| too_long())?;
        let answer = match begun {
            Ok(answer) => answer,
            Err(trouble) => {
                if let Some(meter) = meter {
                    meter.forget();
                }
                return Err(trouble);
            }
        };
        let (bytes_max, within) = (limits.answer_bytes_max, limits.answer_within);
        let passing = Passing { body: answer.body, meter, bytes_max, until, within, _turn: turn };
        Ok(match answer.form {
            Form::Lines => respond(Body::from_stream(passing.pieces()), LINES),
            Form::Whole => respond(Body::from(self.told(endpoint, passing.whole().await?)), OBJECT),
        })
    }

    /// An answer as it is told: of the models that there are, those that may be asked.
    fn told(&self, endpoint: Endpoint, body: Bytes) -> Bytes {
        if endpoint != Endpoint::Tags || self.0.models.names().is_empty() {
            return body;
        }
        let Ok(mut list) = serde_json::from_slice::<Value>(&body) else { return body };
        if let Some(models) = list.get_mut("models").and_then(Value::as_array_mut) {
            models.retain(|model| {
                model.get("name").and_then(Value::as_str).is_some_and(|name| self.0.models.allow(name))
            });
        }
        Bytes::from(list.to_string())
    }
}

/// Reads a body as a question, whatever its `Content-Type` says.
async fn read(endpoint: Endpoint, request: Request, bytes_max: usize) -> Result<Ask, Trouble> {
    let announced = request.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) {
        return Err(Trouble::TooLarge(bytes_max));
    }
    let body = match Limited::new(request.into_body(), bytes_max).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => return Err(Trouble::TooLarge(bytes_max)),
        Err(_) => return Err(Trouble::CutShort),
    };
    if body.is_empty() {
        return Err(Trouble::NoBody);
    }
    let fields: Map<String, Value> = serde_json::from_slice(&body)
        .map_err(|error| Trouble::Malformed(format!("the body is no JSON object: {error}")))?;
    let name = |field: &str| fields.get(field).and_then(Value::as_str).filter(|name| !name.is_empty());
    // The older name of the field, where it had one.
    let older = if endpoint == Endpoint::Show { name("name") } else { None };
    let model = name("model").or(older).ok_or(Trouble::NoModel)?.to_owned();
    Ok(Ask { endpoint, model, body, fields })
}

/// How many tokens a question has, where nobody says it.
fn guess(fields: &Map<String, Value>) -> u64 {
    fn texts(value: &Value) -> u64 {
        match value {
            Value::String(text) => tokens::count(text),
            Value::Array(values) => values.iter().map(texts).sum(),
            Value::Object(fields) => fields.get("content").map_or(0, texts),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }
    ["system", "prompt", "suffix", "input", "messages"].iter().filter_map(|name| fields.get(*name)).map(texts).sum()
}

fn respond(body: Body, kind: HeaderValue) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    response.headers_mut().insert("content-type", kind);
    response.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
    response
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("models", &self.0.models).field("limits", &self.0.limits).finish_non_exhaustive()
    }
}
