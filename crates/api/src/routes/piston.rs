//! Piston's API (v2), on a host name of its own, so that its clients work here by changing a URL.
//!
//! They send no key. So it is off until the owner gives it one of ours to act with, and everything that comes this way is that key's: its
//! rate, its runs at the same time. What they ask for becomes an ordinary run; nothing here runs anything.

mod ask;
mod connect;
mod refusal;
mod runtimes;
mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skylift_model::key::Scope;
use skylift_model::wire::Code;
use tokio::task::spawn_blocking;

use crate::answers;
use crate::attended::{Begun, Sends};
use crate::body::{self, RUN_BYTES_MAX};
use crate::guard::{Authorized, Runs as MayRun};
use crate::services::Services;
use ask::Wanted;
use refusal::Refusal;
use runtimes::Runtime;

/// Its name below the platform's domain.
pub const PISTON: &str = "piston";

/// A key is a line.
const KEY_BYTES_MAX: u64 = 4096;

/// How Piston's API is served, `[runs.piston]`; what is no key is called as Piston calls it, and is as Piston has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PistonSettings {
    /// Where the key lies that it acts with; off without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Bytes of each stream.
    pub output_max_size: u64,
    /// Milliseconds from start to end, at most and where nothing is asked for.
    pub run_timeout: u64,
    pub compile_timeout: u64,
    /// Milliseconds of processors.
    pub run_cpu_time: u64,
    pub compile_cpu_time: u64,
    /// Bytes; as much as any run may have, where it is `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_memory_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compile_memory_limit: Option<u64>,
}

impl Default for PistonSettings {
    fn default() -> Self {
        Self {
            key_file: None,
            output_max_size: 1024,
            run_timeout: 3_000,
            compile_timeout: 10_000,
            run_cpu_time: 3_000,
            compile_cpu_time: 10_000,
            run_memory_limit: None,
            compile_memory_limit: None,
        }
    }
}

/// What its endpoints work with.
#[derive(Clone)]
struct Piston {
    services: Arc<Services>,
    settings: Arc<PistonSettings>,
}

/// Piston's API, for requests to [`PISTON`] below the domain. Says in the log what is the matter with its key's file.
pub fn piston_router(services: Arc<Services>, settings: PistonSettings) -> Router {
    if let Some(file) = &settings.key_file
        && let Err(why) = read_key(file)
    {
        let file = file.display();
        tracing::warn!(%file, "the file that [runs.piston] key_file names {why}: Piston's clients are answered with 503");
    }
    Router::new()
        .route("/", get(root))
        .route("/api/v2/execute", post(execute))
        .route("/api/v2/runtimes", get(list_runtimes))
        .route("/api/v2/packages", get(list_packages).post(refuse_packages).delete(refuse_packages))
        .route("/api/v2/connect", get(connect::connect))
        .fallback(async |_: Acting| Refusal::new(StatusCode::NOT_FOUND, "Not Found"))
        .method_not_allowed_fallback(async |_: Acting| Refusal::new(StatusCode::NOT_FOUND, "Not Found"))
        .layer(from_fn_with_state(services.under_way.answers.clone(), answers::layer))
        .with_state(Piston { services, settings: Arc::new(settings) })
}

/// A request that may act, as the key that the owner gave. What its client says of who it is does not matter.
struct Acting(Authorized<MayRun>);

impl FromRequestParts<Piston> for Acting {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, piston: &Piston) -> Result<Self, Refusal> {
        let key = piston.settings.key().await?;
        parts.headers.remove(header::AUTHORIZATION);
        parts.headers.insert("x-api-key", key);
        let auth = Authorized::<MayRun>::from_request_parts(parts, &piston.services).await;
        let auth = auth.map_err(|error| match error.body().code {
            Code::Unauthorized => Refusal::off("the key that it is to act with is unknown, expired or revoked"),
            Code::Forbidden => Refusal::off("the key that it is to act with is not for `runs`"),
            _ => error.into(),
        })?;
        // Whoever reaches this name is nobody in particular.
        if auth.grant.covers(Scope::Everything) {
            return Err(Refusal::off("the key that it is to act with may do everything; give it one for `runs` alone"));
        }
        Ok(Self(auth))
    }
}

impl PistonSettings {
    /// The key, as it is in its file at this moment: it can be changed without a new start.
    async fn key(&self) -> Result<HeaderValue, Refusal> {
        let Some(file) = &self.key_file else { return Err(Refusal::off("it was given no key to act with")) };
        let file = file.clone();
        let read = spawn_blocking(move || read_key(&file)).await;
        read.map_err(|_| "cannot be read").and_then(|key| key).map_err(Refusal::misset)
    }
}

/// The key of a file, or what is the matter with the file.
fn read_key(file: &Path) -> Result<HeaderValue, &'static str> {
    let about = std::fs::metadata(file).map_err(|_| "cannot be read")?;
    if !about.is_file() {
        return Err("is no file");
    }
    if about.len() > KEY_BYTES_MAX {
        return Err("holds more than a key");
    }
    let text = std::fs::read_to_string(file).map_err(|_| "cannot be read")?;
    let mut key: HeaderValue = text.trim().parse().map_err(|_| "holds more than a key")?;
    key.set_sensitive(true);
    if key.is_empty() { Err("is empty") } else { Ok(key) }
}

impl Piston {
    async fn runtimes(&self) -> Vec<Runtime> {
        self.services.runs.languages().await.iter().map(Runtime::of).collect()
    }

    /// What is to be run, where it may be.
    async fn wanted(&self, asked: &Value) -> Result<Wanted, String> {
        ask::wanted(asked, self.runtimes().await, &self.services.runs.limits(), &self.settings)
    }
}

async fn root(_: Acting) -> Json<Value> {
    Json(json!({"message": "Piston v2, as Skylift has it"}))
}

async fn list_runtimes(State(piston): State<Piston>, _: Acting) -> Json<Vec<Runtime>> {
    Json(piston.runtimes().await)
}

/// What is here; what is not cannot be had by asking.
async fn list_packages(State(piston): State<Piston>, _: Acting) -> Json<Value> {
    Json(Value::Array(runtimes::packages(&piston.runtimes().await)))
}

async fn refuse_packages(_: Acting) -> Refusal {
    let message =
        "packages are not installed or removed by this API: what is installed where code is run is what can be run";
    Refusal::new(StatusCode::FORBIDDEN, message)
}

async fn execute(
    State(piston): State<Piston>,
    Acting(auth): Acting,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    if !body::is_json(&headers) {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "requests must be of type application/json"));
    }
    let bytes = body::whole(&headers, body, RUN_BYTES_MAX).await?;
    let bad = |message: String| Refusal::new(StatusCode::BAD_REQUEST, message);
    let asked: Value = serde_json::from_slice(&bytes).map_err(|error| bad(format!("the body is not JSON: {error}")))?;
    let wanted = piston.wanted(&asked).await.map_err(bad)?;
    let runtime = wanted.runtime.clone();
    let asked = wanted.asked(&auth, auth.clock.now()).await.map_err(|error| bad(error.body().message.clone()))?;
    let mut begun = Begun::begin(auth, asked, Sends::default()).await?;
    let ending = begun.ended().await?;
    let told = Json(told::reply(&runtime, &ending, begun.live.in_order())).into_response();
    Ok(std::mem::take(&mut begun.hold).until_sent(told))
}
