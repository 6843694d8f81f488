//! One request to the object store, and how often it is tried.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use ring::rand::{SecureRandom, SystemRandom};
use skylift_model::Digest;
use tokio::time::timeout;

use super::S3;
use super::answer::element;
use super::sign::{Signer, Signing, canonical_query};
use crate::error::BlobError;

/// How many bodies are sent at once, by the whole process.
pub(crate) const UPLOADS_AT_ONCE: usize = 16;
/// Slower than this, a body that is being sent counts as stuck; bytes per second.
const SLOWEST: u64 = 128 << 10;
/// How long to wait before the second attempt, and at most before any other.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(2);
const ERROR_BYTES_MAX: usize = 64 << 10;

/// A request, without what is the same for all.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) key: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    body: Bytes,
    payload: String,
}

/// What went wrong with one attempt.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It may go better the next time.
    Again(String),
    Final(BlobError),
}

/// How much was asked and how it went.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) failures: AtomicU64,
}

/// How often something is still tried.
pub(crate) struct Patience<'a> {
    s3: &'a S3,
    pub(crate) step: String,
    failed: u32,
}

impl Ask {
    pub(crate) fn new(method: Method, key: &str) -> Self {
        Self::with_body(method, key, Bytes::new())
    }

    pub(crate) fn get(key: &str) -> Self {
        Self::new(Method::GET, key)
    }

    pub(crate) fn put(key: &str, body: Bytes) -> Self {
        Self::with_body(Method::PUT, key, body)
    }

    pub(crate) fn with_body(method: Method, key: &str, body: Bytes) -> Self {
        let payload = Digest::of(&body).to_string();
        Self { method, key: key.to_owned(), query: Vec::new(), headers: Vec::new(), body, payload }
    }
}

impl Patience<'_> {
    /// Waits before the next attempt; an error where there is none.
    pub(crate) async fn after(&mut self, fault: Fault) -> Result<(), BlobError> {
        let counts = &self.s3.counts;
        let why = match fault {
            Fault::Final(error) => {
                counts.failures.fetch_add(1, Ordering::Relaxed);
                return Err(error);
            }
            Fault::Again(why) => why,
        };
        self.failed += 1;
        if self.failed >= self.s3.settings.attempts {
            counts.failures.fetch_add(1, Ordering::Relaxed);
            return Err(BlobError::Unavailable { step: self.step.clone(), why });
        }
        counts.retries.fetch_add(1, Ordering::Relaxed);
        let mut random = [0_u8; 1];
        let _ = SystemRandom::new().fill(&mut random);
        tokio::time::sleep(delay(self.failed, random[0])).await;
        Ok(())
    }
}

/// How long to wait after so many failures: between half of a time that doubles, and all of it.
fn delay(failed: u32, random: u8) -> Duration {
    let most = FIRST_DELAY.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(LAST_DELAY);
    most / 2 + most / 2 * u32::from(random) / 255
}

impl S3 {
    pub(crate) fn patience(&self, step: String) -> Patience<'_> {
        Patience { s3: self, step, failed: 0 }
    }

    /// Sends until there is an answer: 2xx or 404. For requests whose answer has no body that matters.
    pub(crate) async fn ask(&self, step: &str, ask: &Ask) -> Result<Response<Incoming>, BlobError> {
        let mut patience = self.patience(step.to_owned());
        loop {
            match self.once(ask).await {
                Ok(response) if response.status() == StatusCode::NOT_FOUND && ask.method == Method::PUT => {
                    let fault = self.refused(response, step).await;
                    patience.after(fault).await?;
                }
                Ok(response) => return Ok(response),
                Err(fault) => patience.after(fault).await?,
            }
        }
    }

    /// Sends once. The answer is 2xx or 404.
    pub(crate) async fn once(&self, ask: &Ask) -> Result<Response<Incoming>, Fault> {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        let _one_of_few = if ask.body.is_empty() { None } else { self.uploads.acquire().await.ok() };
        let request = self.request(ask, SystemTime::now())?;
        let patience = self.timeout() + Duration::from_secs(ask.body.len() as u64 / SLOWEST);
        let response = match timeout(patience, self.connections.send(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Fault::Again(chain(&error))),
            Err(_) => return Err(Fault::Again(format!("no answer within {} s", patience.as_secs_f32()))),
        };
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return Ok(response);
        }
        Err(self.refused(response, &format!("{} {}", ask.method, ask.key)).await)
    }

    /// What an answer that is none of the good ones means.
    pub(crate) async fn refused(&self, response: Response<Incoming>, step: &str) -> Fault {
        let status = response.status();
        let text = self.whole(response.into_body(), ERROR_BYTES_MAX).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let code = element(&text, "Code").filter(|code| code.len() < 100).unwrap_or_default().to_owned();
        let may_pass = status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || matches!(code.as_str(), "RequestTimeout" | "OperationAborted" | "SlowDown");
        if may_pass && status != StatusCode::NOT_IMPLEMENTED {
            return Fault::Again(format!("{} {code}", status.as_u16()));
        }
        Fault::Final(BlobError::Refused { step: step.to_owned(), status: status.as_u16(), code })
    }

    /// All of a body, at most so many bytes.
    pub(crate) async fn whole(&self, mut body: Incoming, bytes_max: usize) -> Result<Bytes, Fault> {
        let mut all = BytesMut::new();
        while let Some(piece) = next_piece(&mut body, self.timeout()).await? {
            if all.len() + piece.len() > bytes_max {
                return Err(Fault::Again("an answer that is too long".to_owned()));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.settings.timeout_ms)
    }

    fn request(&self, ask: &Ask, now: SystemTime) -> Result<Request<Full<Bytes>>, Fault> {
        let settings = &self.settings;
        let time = amazon_time(now);
        let path = if ask.key.is_empty() {
            format!("{}/", self.place.path)
        } else {
            format!("{}/{}{}", self.place.path, settings.prefix, ask.key)
        };
        let mut headers = vec![
            ("host".to_owned(), self.place.host.clone()),
            ("x-amz-content-sha256".to_owned(), ask.payload.clone()),
            ("x-amz-date".to_owned(), time.clone()),
        ];
        headers.extend(ask.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        if !settings.session_token.reveal().is_empty() {
            headers.push(("x-amz-security-token".to_owned(), settings.session_token.reveal().to_owned()));
        }
        let signer = Signer {
            access_key_id: &settings.access_key_id,
            secret_access_key: settings.secret_access_key.reveal(),
            region: &settings.region,
            service: "s3",
        };
        let method = ask.method.as_str();
        let signing = Signing { method, path: &path, query: &ask.query, headers: &headers, payload: &ask.payload };
        let authorization = signer.authorization(&signing, &time);
        let scheme = if self.place.tls { "https" } else { "http" };
        let query = if ask.query.is_empty() { String::new() } else { format!("?{}", canonical_query(&ask.query)) };
        let mut request = Request::builder().method(&ask.method);
        request = request.uri(format!("{scheme}://{}{path}{query}", self.place.host));
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let request = request.header("authorization", authorization).body(Full::new(ask.body.clone()));
        request.map_err(|error| Fault::Final(BlobError::Settings(format!("[blob.s3] {error}"))))
    }
}

/// The next bytes of a body; `None` after the last. A body that is shorter than was announced is a fault.
pub(crate) async fn next_piece(body: &mut Incoming, patience: Duration) -> Result<Option<Bytes>, Fault> {
    loop {
        match timeout(patience, body.frame()).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Ok(Some(Err(error))) => return Err(Fault::Again(chain(&error))),
            Err(_) => return Err(Fault::Again(format!("nothing more within {} s", patience.as_secs_f32()))),
        }
    }
}

pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Such as `20130524T000000Z`.
pub(crate) fn amazon_time(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(0)).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_further_and_further_apart_up_to_a_limit() {
        assert_eq!(delay(1, 0), FIRST_DELAY / 2);
        assert_eq!(delay(1, 255), FIRST_DELAY);
        assert_eq!(delay(3, 255), FIRST_DELAY * 4);
        assert_eq!(delay(400, 255), LAST_DELAY);
    }

    #[test]
    fn times_are_written_as_amazon_wants_them() {
        assert_eq!(amazon_time(UNIX_EPOCH + Duration::from_secs(1_369_353_600)), "20130524T000000Z");
    }
}
