//! One request to an address that a stranger named.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use skylift_egress::{DialError, Dialer, OwnerEntry, Policy, Target, Tls, TlsError};
use skylift_model::chain;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::address::Address;

/// What an answer's head may take, in bytes and fields.
const HEAD_BYTES_MAX: usize = 16 << 10;
const FIELDS_MAX: usize = 100;

/// What callbacks may reach, and for how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ports open at every public host, in ascending order.
    pub ports: Vec<u16>,
    /// Private hosts that may be reached, and other ports.
    pub allow: Vec<OwnerEntry>,
    /// The certificates of authorities to trust, in PEM; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long looking up a name may take, and how long connecting.
    pub connect: Duration,
    /// How long one try may take in all.
    pub whole: Duration,
    /// How many are told at the same time.
    pub at_once: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ports: vec![80, 443],
            allow: Vec::new(),
            ca_file: None,
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(10),
            at_once: 32,
        }
    }
}

impl Settings {
    fn policy(&self) -> Policy {
        Policy {
            ports: self.ports.clone(),
            services: Vec::new(),
            platform_hosts: None,
            app_hosts: None,
            rules: Vec::new(),
            owner_allowed: self.allow.clone(),
            setting: "[callbacks] allow",
        }
    }

    /// Why an address would never be reached, as far as is known before its name is resolved.
    pub fn refusal(&self, address: &Address) -> Option<String> {
        let policy = self.policy();
        if let Err(refusal) = skylift_egress::admit(&policy, &address.host, address.port) {
            return Some(refusal.to_string());
        }
        let own = skylift_egress::address::OwnAddresses::default();
        let Target::Address(ip) = &address.host else { return None };
        let refused = skylift_egress::admit_address(&policy, &own, &address.host, address.port, *ip);
        refused.err().map(|refusal| refusal.to_string())
    }
}

/// What came of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The address answered with a 2xx.
    Told,
    /// It did not; another try may go better.
    Failed(String),
    /// It may not be reached: no other try is made.
    Refused(String),
}

/// Sends requests. What each of them is about is not its business.
pub struct Post {
    dialer: Dialer,
    settings: Settings,
    tls: Tls,
}

/// What is sent.
pub(crate) struct Sent {
    pub(crate) method: Method,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// Why an address did not take it.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("no answer")]
    Exchange(#[from] hyper::Error),
    #[error("no request can be made of it")]
    Request(#[from] http::Error),
    #[error("it answered {0}; redirects are not followed")]
    Redirect(StatusCode),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("it did not answer in time")]
    Late,
}

impl Post {
    /// One that goes by these settings. Nothing is looked up yet.
    pub fn new(settings: Settings) -> Self {
        let limits = skylift_egress::Limits {
            resolve: settings.connect,
            connect: settings.connect,
            ..skylift_egress::Limits::default()
        };
        let (dialer, tls) = (Dialer::new(settings.policy(), limits), Tls::new(settings.ca_file.clone()));
        Self { dialer, settings, tls }
    }

    /// How many are told at the same time.
    pub(crate) fn at_once(&self) -> usize {
        self.settings.at_once.max(1)
    }

    /// How long a try may take in all.
    pub(crate) fn whole(&self) -> Duration {
        self.settings.whole
    }

    /// Sends a request, once.
    pub(crate) async fn send(&self, address: &Address, sent: Sent) -> Outcome {
        let tried = timeout(self.settings.whole, self.exchange(address, sent)).await;
        match tried.unwrap_or(Err(Failure::Late)) {
            Ok(()) => Outcome::Told,
            Err(Failure::Dial(DialError::Refused(refusal))) => Outcome::Refused(refusal.to_string()),
            Err(failure) => Outcome::Failed(chain(&failure)),
        }
    }

    async fn exchange(&self, address: &Address, sent: Sent) -> Result<(), Failure> {
        let tcp = self.dialer.dial(&address.host, address.port).await?;
        let _ = tcp.set_nodelay(true);
        let status = if address.is_https {
            ask(self.tls.encrypt(tcp, &address.host).await?, address, sent).await?
        } else {
            ask(tcp, address, sent).await?
        };
        match status {
            status if status.is_success() => Ok(()),
            status if status.is_redirection() => Err(Failure::Redirect(status)),
            status => Err(Failure::Status(status)),
        }
    }
}

/// The status of the answer; of its body nothing is read.
async fn ask<T>(io: T, address: &Address, sent: Sent) -> Result<StatusCode, Failure>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut request = Request::builder().method(sent.method).uri(Uri::from(address.path_and_query.clone()));
    if let Some(headers) = request.headers_mut() {
        headers.extend(address.host_field().map(|host| (HOST, host)));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("skylift/", env!("CARGO_PKG_VERSION"))));
        headers.extend(sent.headers);
    }
    let request = request.body(Full::new(sent.body))?;
    let mut settings = http1::Builder::new();
    settings.max_buf_size(HEAD_BYTES_MAX).max_headers(FIELDS_MAX);
    let (mut sender, connection) = settings.handshake(TokioIo::new(io)).await?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    tokio::select! {
        answer = &mut answer => Ok(answer?.status()),
        // The answer may have come with the connection's end.
        _ = connection => Ok(answer.await?.status()),
    }
}

#[cfg(test)]
mod tests;
