//! Requests to the engine: one connection for each, so that closing it is how a request is given up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::answer::Answer;
use crate::body::Body;

/// How long the engine may take for what is no build, no wait and no stream.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What this client speaks, where the engine still does.
const API: &str = "1.41";
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    socket: PathBuf,
    /// The version of the API that is spoken, once the engine has said what it knows.
    version: OnceCell<String>,
}

/// Why the engine did not do it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the Docker engine at {socket} cannot be reached")]
    Connect {
        socket: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the Docker engine broke off")]
    BrokenOff(#[source] hyper::Error),
    #[error("the Docker engine did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the Docker engine has not removed it")]
    StillThere,
    /// It answered, and refused.
    #[error("the Docker engine says: {message}")]
    Refused { status: StatusCode, message: String },
    #[error("the Docker engine answered with something else than expected")]
    Unexpected(#[from] serde_json::Error),
}

impl EngineError {
    /// Whether what was named is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, .. })
    }

    /// Whether it is so already, or another has it in use.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::CONFLICT | StatusCode::NOT_MODIFIED, .. })
    }
}

/// A request, without what is the same for all.
pub(crate) struct Ask {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    content_type: Option<&'static str>,
    body: Body,
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), content_type: None, body: Body::empty() }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(crate) fn json(mut self, body: &serde_json::Value) -> Self {
        (self.content_type, self.body) = (Some("application/json"), Body::whole(body.to_string()));
        self
    }

    pub(crate) fn tar(mut self, body: Body) -> Self {
        (self.content_type, self.body) = (Some("application/x-tar"), body);
        self
    }

    fn request(self, version: Option<&str>) -> Request<Body> {
        let Self { method, path, query, content_type, body } = self;
        let mut target = version.map_or_else(String::new, |version| format!("/v{version}"));
        target.push_str(&path);
        for (index, (name, value)) in query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            target.extend(utf8_percent_encode(value, ESCAPED));
        }
        let mut request = Request::new(body);
        *request.method_mut() = method;
        // Made of literals, ids and escaped text, it is a path.
        *request.uri_mut() = target.parse().unwrap_or_default();
        request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("docker"));
        if let Some(content_type) = content_type {
            request.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        }
        request
    }
}

/// What the engine knows.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    #[serde(default, rename = "MinAPIVersion")]
    min_api_version: String,
}

/// What an engine says of itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct About {
    /// The same over restarts, and no other engine's.
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(default)]
    security_options: Vec<String>,
}

impl About {
    /// Whether containers have other user ids on this machine than they see.
    pub fn maps_users(&self) -> bool {
        self.security_options.iter().any(|option| ["name=userns", "name=rootless"].contains(&option.as_str()))
    }
}

impl Engine {
    /// The engine that listens on a socket. Connects with the first request.
    pub fn at(socket: &Path) -> Self {
        Self(Arc::new(Inner { socket: socket.to_owned(), version: OnceCell::new() }))
    }

    /// The engine's own version, such as `20.10.24`.
    ///
    /// # Errors
    /// [`EngineError`], where it does not answer.
    pub async fn version(&self) -> Result<String, EngineError> {
        Ok(self.ask_version().await?.version)
    }

    /// Which engine it is, and how it is set up.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn about(&self) -> Result<About, EngineError> {
        self.json(Ask::get("/info")).await
    }

    async fn ask_version(&self) -> Result<Version, EngineError> {
        let asked = self.send(Ask::get("/version").request(None));
        let answer = timeout(PATIENCE, async { asked.await?.checked().await?.json().await });
        answer.await.map_err(|_| EngineError::Silent)?
    }

    /// One request whose answer is small.
    pub(crate) async fn json<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, EngineError> {
        let answer = timeout(PATIENCE, async { self.stream(ask).await?.json().await });
        answer.await.map_err(|_| EngineError::Silent)?
    }

    /// One request whose answer does not matter once it is a good one.
    pub(crate) async fn done(&self, ask: Ask) -> Result<(), EngineError> {
        let answer = timeout(PATIENCE, async { self.stream(ask).await?.text().await.map(drop) });
        answer.await.map_err(|_| EngineError::Silent)?
    }

    /// One request whose answer goes on for as long as it does; dropping it gives the request up.
    pub(crate) async fn stream(&self, ask: Ask) -> Result<Answer, EngineError> {
        let version = self.0.version.get_or_try_init(async || {
            let Version { min_api_version, .. } = self.ask_version().await?;
            Ok::<_, EngineError>(newer(API, &min_api_version).to_owned())
        });
        let version = version.await?;
        self.send(ask.request(Some(version))).await?.checked().await
    }

    async fn send(&self, request: Request<Body>) -> Result<Answer, EngineError> {
        let refused = |source| EngineError::Connect { socket: self.0.socket.clone(), source };
        let stream = UnixStream::connect(&self.0.socket).await.map_err(refused)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(EngineError::BrokenOff)?;
        let connection = tokio::spawn(connection);
        let mut answer = Answer::waiting(connection);
        answer.came(sender.send_request(request).await.map_err(EngineError::BrokenOff)?);
        Ok(answer)
    }
}

/// The newer of two versions such as `1.41`; one that cannot be read is old.
fn newer<'v>(one: &'v str, other: &'v str) -> &'v str {
    let parts = |version: &str| {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    if parts(other) > parts(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_no_longer_speaks_our_version_is_spoken_to_in_its_oldest() {
        assert_eq!([newer("1.41", "1.12"), newer("1.41", "1.44"), newer("1.41", "")], ["1.41", "1.44", "1.41"]);
        assert_eq!(newer("1.41", "1.9"), "1.41", "by number, not by letter");
    }

    #[test]
    fn what_goes_into_an_address_is_escaped() {
        let ask = Ask::get("/build").with("t", "a/b:c").with("labels", r#"{"a":"b&c"}"#);
        let target = ask.request(Some("1.41")).uri().to_string();
        assert_eq!(target, "/v1.41/build?t=a%2Fb%3Ac&labels=%7B%22a%22%3A%22b%26c%22%7D");
    }

    #[test]
    fn engines_that_map_users_say_so() {
        let maps = |options: &str| {
            let told = format!(r#"{{"ID":"a:b","Name":"x","SecurityOptions":{options}}}"#);
            serde_json::from_str::<About>(&told).unwrap().maps_users()
        };
        assert!(!maps(r#"["name=seccomp,profile=default","name=cgroupns"]"#));
        assert!(maps(r#"["name=seccomp,profile=default","name=userns"]"#) && maps(r#"["name=rootless"]"#));
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_named() {
        let error = Engine::at(Path::new("/nowhere/docker.sock")).version().await.unwrap_err();
        assert_eq!(error.to_string(), "the Docker engine at /nowhere/docker.sock cannot be reached");
    }
}
