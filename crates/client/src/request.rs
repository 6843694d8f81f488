//! One request of the API: how it is put together, sent, repeated when the connection fails, and read.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skylift_model::wire::ErrorEnvelope;
use tokio::io::AsyncReadExt;

use crate::Client;
use crate::connect::Body;
use crate::error::ClientError;
use crate::idempotency;
use crate::retry::{self, Failed};
use crate::tls;
use crate::upload::OnSent;

/// A mutation carries this; the server answers a repetition with the first answer.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long the server may take to begin its answer, once it has the request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest JSON answer: 100,000 files of a deployment fit several times.
const JSON_BYTES_MAX: usize = 64 << 20;
const ERROR_BYTES_MAX: usize = 1 << 20;
const CHUNK_BYTES: usize = 64 << 10;

/// What a request carries. It can be made again for a repetition.
#[derive(Clone)]
pub(crate) enum Content {
    None,
    Json(Bytes),
    Bytes(Bytes),
    File { path: PathBuf, size: u64, media_type: &'static str, on_sent: OnSent },
}

/// One request, before it is sent.
#[derive(Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    content: Content,
    accept: HeaderValue,
    last_event_id: Option<u64>,
    /// The key of the WebSocket that it asks for.
    websocket: Option<String>,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        let accept = HeaderValue::from_static("application/json");
        Self { method, path: path.into(), content: Content::None, accept, last_event_id: None, websocket: None }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn json(mut self, value: &impl Serialize) -> Self {
        // Wire types are plain structs with string keys: serialising them cannot fail.
        self.content = Content::Json(serde_json::to_vec(value).unwrap_or_default().into());
        self
    }

    pub(crate) fn content(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    pub(crate) fn accept(mut self, media_type: &'static str) -> Self {
        self.accept = HeaderValue::from_static(media_type);
        self
    }

    pub(crate) fn last_event_id(mut self, id: Option<u64>) -> Self {
        self.last_event_id = id;
        self
    }

    pub(crate) fn websocket(mut self, key: String) -> Self {
        self.websocket = Some(key);
        self
    }

    fn is_mutation(&self) -> bool {
        self.method != Method::GET && self.method != Method::HEAD
    }
}

impl Client {
    /// Sends a request and reads its JSON answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let body = self.bytes(call, JSON_BYTES_MAX).await?;
        serde_json::from_slice(&body).map_err(|error| self.protocol(format!("JSON that does not fit: {error}")))
    }

    /// Sends a request whose answer says nothing beyond its status.
    pub(crate) async fn done(&self, call: Call) -> Result<(), ClientError> {
        self.bytes(call, JSON_BYTES_MAX).await.map(drop)
    }

    async fn bytes(&self, call: Call, bytes_max: usize) -> Result<Bytes, ClientError> {
        let response = self.send(call).await?;
        let body = Limited::new(response.into_body(), bytes_max).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| self.unreachable(error))
    }

    /// Sends a request, again where the connection fails or the server asks for that, and returns the answer if it is
    /// no error.
    pub(crate) async fn send(&self, call: Call) -> Result<Response<Incoming>, ClientError> {
        let key = call.is_mutation().then(idempotency::new_key);
        let mut attempt = 0;
        loop {
            let failed = match self.attempt(&call, key.as_deref()).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            let Some(pause) = failed.pause(attempt) else { return Err(failed.error) };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Sends a request that is not repeated here.
    pub(crate) async fn send_once(&self, call: &Call) -> Result<Response<Incoming>, ClientError> {
        self.attempt(call, None).await.map_err(|failed| failed.error)
    }

    async fn attempt(&self, call: &Call, key: Option<&str>) -> Result<Response<Incoming>, Failed> {
        let is_stream = matches!(call.content, Content::File { .. });
        let sending = self.connections.send(self.request(call, key).await?);
        // How long a file takes to be sent depends on its size and the network: TCP's own time-out has to do.
        let sent = if is_stream {
            sending.await
        } else {
            tokio::time::timeout(ANSWER_TIMEOUT, sending)
                .await
                .map_err(|_| ClientError::TimedOut { url: self.base.to_string(), seconds: ANSWER_TIMEOUT.as_secs() })?
        };
        let response = sent.map_err(|error| body_failure(&error).unwrap_or_else(|| self.unreachable(error)))?;
        let is_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS && call.websocket.is_some();
        if response.status().is_success() || is_switched {
            return Ok(response);
        }
        let retry_after = retry::asked_for(response.status(), response.headers());
        let mut error = self.refusal(response).await;
        if let (ClientError::Api { body, .. }, Some(after)) = (&mut error, retry_after) {
            body.retry_after_s = Some(after.as_secs());
        }
        Err(Failed { error, retry_after })
    }

    async fn request(&self, call: &Call, key: Option<&str>) -> Result<Request<Body>, ClientError> {
        let malformed = |error: http::Error| self.protocol(format!("`{}` is no path: {error}", call.path));
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(self.base.at(&call.path).map_err(malformed)?)
            .header(USER_AGENT, concat!("skylift/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, call.accept.clone());
        if let Some(token) = &self.authorization {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(id) = call.last_event_id {
            request = request.header(LAST_EVENT_ID, id);
        }
        if let Some(key) = &call.websocket {
            request = request.header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
            request = request.header(SEC_WEBSOCKET_VERSION, "13").header(SEC_WEBSOCKET_KEY, key);
        }
        request = match &call.content {
            Content::None => request,
            Content::Json(_) => request.header(CONTENT_TYPE, "application/json"),
            Content::Bytes(_) => request.header(CONTENT_TYPE, "application/octet-stream"),
            Content::File { media_type, size, .. } => {
                request.header(CONTENT_TYPE, *media_type).header(CONTENT_LENGTH, *size)
            }
        };
        request.body(body(&call.content).await?).map_err(malformed)
    }

    /// The error that an answer carries.
    async fn refusal(&self, response: Response<Incoming>) -> ClientError {
        let status = response.status();
        let body = Limited::new(response.into_body(), ERROR_BYTES_MAX).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        match serde_json::from_slice::<ErrorEnvelope>(&body) {
            Ok(envelope) => ClientError::Api { status: status.as_u16(), body: envelope.error },
            // A proxy in front of the server answers in its own words while the server is away.
            Err(_) if is_gateway_trouble(status) => self.unreachable(format!("a proxy in between says {status}")),
            Err(_) => self.protocol(format!("{status} without an error that can be read")),
        }
    }

    pub(crate) fn unreachable(&self, source: impl Into<crate::error::BoxError>) -> ClientError {
        tls::unanswered(self.base.to_string(), source.into())
    }

    pub(crate) fn protocol(&self, what: impl Into<String>) -> ClientError {
        ClientError::Protocol { url: self.base.to_string(), what: what.into() }
    }
}

fn is_gateway_trouble(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

async fn body(content: &Content) -> Result<Body, ClientError> {
    Ok(match content {
        Content::None => full(Bytes::new()),
        Content::Json(bytes) | Content::Bytes(bytes) => full(bytes.clone()),
        Content::File { path, size, on_sent, .. } => file_body(path.clone(), *size, Arc::clone(on_sent)).await?,
    })
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// A file as a body, chunk by chunk: however large it is, only a chunk of it is in memory.
async fn file_body(path: PathBuf, size: u64, on_sent: OnSent) -> Result<Body, ClientError> {
    let file =
        tokio::fs::File::open(&path).await.map_err(|source| ClientError::ReadFile { path: path.clone(), source })?;
    let chunks = stream::try_unfold((file, size), move |(mut file, left)| {
        let (path, on_sent) = (path.clone(), Arc::clone(&on_sent));
        async move {
            let mut chunk = vec![0; CHUNK_BYTES];
            let count = file.read(&mut chunk).await.map_err(|source| BodyFailure::Read(path.clone(), source.kind()))?;
            let Some(left) = left.checked_sub(count as u64).filter(|left| count > 0 || *left == 0) else {
                return Err(BodyFailure::Changed(path).into());
            };
            if count == 0 {
                return Ok(None);
            }
            chunk.truncate(count);
            on_sent(count as u64);
            Ok::<_, io::Error>(Some((Frame::data(Bytes::from(chunk)), (file, left))))
        }
    });
    Ok(StreamBody::new(chunks).boxed_unsync())
}

/// Why a file's bytes stopped in the middle of a request. It travels through the HTTP library as an `io::Error`.
#[derive(Clone, Debug, thiserror::Error)]
enum BodyFailure {
    #[error("read {}", .0.display())]
    Read(PathBuf, io::ErrorKind),
    #[error("{} changed", .0.display())]
    Changed(PathBuf),
}

impl From<BodyFailure> for io::Error {
    fn from(failure: BodyFailure) -> Self {
        Self::other(failure)
    }
}

/// The failure of our own body that made a request fail, if that is what did.
fn body_failure(error: &(dyn Error + 'static)) -> Option<ClientError> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(failure) = inner.and_then(|inner| inner.downcast_ref::<BodyFailure>()) {
            return Some(match failure.clone() {
                BodyFailure::Read(path, kind) => ClientError::ReadFile { path, source: kind.into() },
                BodyFailure::Changed(path) => ClientError::FileChanged { path },
            });
        }
        next = error.source();
    }
    None
}
