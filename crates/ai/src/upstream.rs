//! A server with this interface, asked in our place: what it says is passed on as it comes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, unfold};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Deserialize;
use tokio::time::timeout;

use crate::{Answer, Ask, Engine, Form, Trouble};

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// How long an idle connection is kept; less than servers do.
const IDLE: Duration = Duration::from_secs(15);
/// What is read of an answer that is an error.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// What is told of it.
const ERROR_CHARS_MAX: usize = 500;

/// Where the server is, and how long it is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Such as `http://127.0.0.1:11434`.
    pub url: String,
    /// Sent as `Authorization: Bearer`, where the server asks for one.
    pub key: Option<String>,
    /// Until an answer begins: a model may have to be loaded first.
    pub begins_within: Duration,
    /// Without a byte of an answer that has begun.
    pub silent_for: Duration,
}

/// Why there cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("`{0}` is no address of a server, such as `http://127.0.0.1:11434`")]
    Url(String),
    #[error("its key cannot be sent in a header")]
    Key,
    #[error("the certificates of authorities cannot be read")]
    Roots(#[source] std::io::Error),
}

/// The server.
#[derive(Debug)]
pub struct Upstream {
    base: String,
    authorization: Option<HeaderValue>,
    client: Connections,
    begins_within: Duration,
    silent_for: Duration,
}

#[derive(Debug)]
enum Connections {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Upstream {
    /// Prepares, without connecting.
    ///
    /// # Errors
    /// Where the settings name no server.
    pub fn new(settings: &UpstreamSettings) -> Result<Self, UpstreamError> {
        let UpstreamSettings { url, key, begins_within, silent_for } = settings;
        let base = url.trim_end_matches('/').to_owned();
        let is_tls = scheme(&base).ok_or_else(|| UpstreamError::Url(url.clone()))?;
        let authorization = key.as_ref().map(|key| {
            let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| UpstreamError::Key)?;
            value.set_sensitive(true);
            Ok(value)
        });
        let authorization = authorization.transpose()?;
        let client = Connections::new(is_tls)?;
        Ok(Self { base, authorization, client, begins_within: *begins_within, silent_for: *silent_for })
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, Trouble> {
        let form = if ask.is_streamed() { Form::Lines } else { Form::Whole };
        let request = self.request(&ask)?;
        let begun = timeout(self.begins_within, self.client.send(request)).await;
        let response = begun.map_err(|_| Trouble::Silent(self.begins_within))?.map_err(|error| away(&error))?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        Ok(Answer { form, body: body(response.into_body(), self.silent_for) })
    }

    /// Made anew: nothing of the client's request but its body goes further.
    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, Trouble> {
        let method = if ask.endpoint.is_read() { Method::GET } else { Method::POST };
        let mut request = Request::builder().method(method).uri(format!("{}{}", self.base, ask.endpoint.path()));
        if !ask.endpoint.is_read() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request =
            request.header(ACCEPT, "application/x-ndjson, application/json").body(Full::new(ask.body.clone()));
        request.map_err(|error| Trouble::Away(error.to_string()))
    }

    /// What is wrong with a request is told as the server tells it; all else is its fault, or that of who set it up.
    async fn refusal(&self, response: Response<Incoming>) -> Trouble {
        let status = response.status();
        let said = Limited::new(response.into_body(), ERROR_BYTES_MAX).collect();
        let said = match timeout(self.silent_for, said).await {
            Ok(Ok(said)) => said.to_bytes(),
            Ok(Err(_)) | Err(_) => Bytes::new(),
        };
        let message = message(&said);
        match status {
            StatusCode::BAD_REQUEST
            | StatusCode::NOT_FOUND
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => Trouble::Refused { status: status.as_u16(), message },
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Trouble::Busy,
            _ => Trouble::Failed { status: status.as_u16(), message },
        }
    }
}

impl Engine for Upstream {
    fn answer(&self, ask: Ask) -> BoxFuture<'_, Result<Answer, Trouble>> {
        Box::pin(self.ask(ask))
    }
}

impl Connections {
    fn new(is_tls: bool) -> Result<Self, UpstreamError> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_WITHIN));
        tcp.set_nodelay(true);
        tcp.enforce_http(!is_tls);
        let mut pool = Client::builder(TokioExecutor::new());
        pool.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        if !is_tls {
            return Ok(Self::Plain(pool.build(tcp)));
        }
        let tls = HttpsConnectorBuilder::new().with_native_roots().map_err(UpstreamError::Roots)?;
        Ok(Self::Tls(pool.build(tls.https_only().enable_http1().wrap_connector(tcp))))
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        }
    }
}

/// Whether it is spoken to with TLS; none for what is no address.
fn scheme(base: &str) -> Option<bool> {
    let uri: Uri = base.parse().ok()?;
    let host = uri.authority()?;
    if host.as_str().contains('@') || uri.query().is_some() {
        return None;
    }
    match uri.scheme_str()? {
        "http" => Some(false),
        "https" => Some(true),
        _ => None,
    }
}

/// Its bytes as they come. To drop it is to close the connection.
fn body(body: Incoming, silent_for: Duration) -> BoxStream<'static, Result<Bytes, Trouble>> {
    Box::pin(unfold(Some(body), move |body| async move {
        let mut body = body?;
        loop {
            return match timeout(silent_for, body.frame()).await {
                Ok(None) => None,
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => Some((Ok(bytes), Some(body))),
                    // Trailers say nothing.
                    Err(_) => continue,
                },
                Ok(Some(Err(error))) => Some((Err(Trouble::BrokeOff(skylift_model::chain(&error))), None)),
                Err(_) => Some((Err(Trouble::Silent(silent_for)), None)),
            };
        }
    }))
}

fn away(error: &(dyn std::error::Error + 'static)) -> Trouble {
    Trouble::Away(skylift_model::chain(error))
}

/// What an error of a server says.
fn message(said: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        error: String,
    }
    let text = match serde_json::from_slice::<Said>(said) {
        Ok(said) => said.error,
        Err(_) => String::from_utf8_lossy(said).trim().to_owned(),
    };
    let text = if text.is_empty() { "it says nothing more".to_owned() } else { text };
    text.chars().filter(|c| !c.is_control()).take(ERROR_CHARS_MAX).collect()
}
