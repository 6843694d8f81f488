//! An S3-compatible object store, spoken to directly: the few requests that blobs need.
//!
//! Every request is signed over the digest of its body, so the store refuses bytes that changed on their way. What can
//! pass (no answer, a reset, a 5xx) is tried again a few times; then the store counts as unavailable.

mod answer;
pub(crate) mod connect;
mod multipart;
pub(crate) mod send;
pub(crate) mod settings;
pub(crate) mod sign;

use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use hyper::body::Incoming;
use skylift_model::Digest;

use crate::error::BlobError;
use answer::Page;
use connect::Connections;
pub(crate) use multipart::WHOLE_BYTES_MAX;
use send::Ask;
pub(crate) use send::{Counts, Fault, next_piece};
use settings::{Place, S3Settings};

/// One page of a list has at most 1000 names.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// The object store. Keys are below the prefix of the settings.
pub(crate) struct S3 {
    settings: S3Settings,
    place: Place,
    connections: Connections,
    /// Bodies on their way: they lie in memory.
    uploads: tokio::sync::Semaphore,
    pub(crate) counts: Counts,
}

/// What is known of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) size: u64,
    /// When it was last stored, to the second.
    pub(crate) stored: SystemTime,
}

/// An object that begins to arrive.
pub(crate) struct Arriving {
    pub(crate) size: u64,
    pub(crate) body: Incoming,
}

impl S3 {
    /// Prepares, without connecting. Every mistake in the settings is told.
    pub(crate) fn new(settings: S3Settings) -> Result<Self, BlobError> {
        let mistakes = settings.mistakes();
        let place = Place::of(&settings).filter(|_| mistakes.is_empty());
        let place = place.ok_or_else(|| BlobError::Settings(mistakes.join("\n")))?;
        let connections = Connections::new(place.tls, settings.ca_file.as_deref())?;
        let uploads = tokio::sync::Semaphore::new(send::UPLOADS_AT_ONCE);
        Ok(Self { settings, place, connections, uploads, counts: Counts::default() })
    }

    /// Stores an object, durable when this returns.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError> {
        let (ask, mut patience) = (Ask::put(key, bytes), self.patience(format!("store {key}")));
        loop {
            let fault = match self.once(&ask).await {
                Ok(response) if response.status() == StatusCode::NOT_FOUND => {
                    self.refused(response, &patience.step).await
                }
                Ok(response) => match self.stored(response).await {
                    Ok(()) => return Ok(()),
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            patience.after(fault).await?;
        }
    }

    /// Whether a 200 is one: some promise it before they know, and tell of an error in the body.
    async fn stored(&self, response: Response<Incoming>) -> Result<(), Fault> {
        let body = self.whole(response.into_body(), PAGE_BYTES_MAX).await?;
        match answer::element(&String::from_utf8_lossy(&body), "Error") {
            None => Ok(()),
            Some(error) => {
                Err(Fault::Again(format!("200 with an error, {}", answer::element(error, "Code").unwrap_or_default())))
            }
        }
    }

    /// Begins to read an object; `None` where there is none. Not tried again here: the body may break off as well.
    pub(crate) async fn begin(&self, key: &str) -> Result<Option<Arriving>, Fault> {
        let response = self.once(&Ask::get(key)).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return self.really_missing(key, response).await.map(|()| None);
        }
        let size = header_of(&response, header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let size = size.ok_or_else(|| Fault::Again("an answer without a length".to_owned()))?;
        Ok(Some(Arriving { size, body: response.into_body() }))
    }

    /// The bytes of a small object.
    pub(crate) async fn get(&self, key: &str, bytes_max: usize) -> Result<Option<Bytes>, BlobError> {
        let mut patience = self.patience(format!("read {key}"));
        loop {
            let fault = match self.begin(key).await {
                Ok(None) => return Ok(None),
                Ok(Some(arriving)) => match self.whole(arriving.body, bytes_max).await {
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            patience.after(fault).await?;
        }
    }

    /// Looks at an object.
    pub(crate) async fn head(&self, key: &str) -> Result<Option<Seen>, BlobError> {
        let response = self.ask(&format!("look at {key}"), &Ask::new(Method::HEAD, key)).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let size = header_of(&response, header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let stored = header_of(&response, header::LAST_MODIFIED).and_then(|date| httpdate::parse_http_date(date).ok());
        match (size, stored) {
            (Some(size), Some(stored)) => Ok(Some(Seen { size, stored })),
            _ => Err(BlobError::Unavailable {
                step: format!("look at {key}"),
                why: "an answer without size or date".to_owned(),
            }),
        }
    }

    /// Copies an object within the store; onto itself, it counts as stored anew. Returns whether it was there.
    pub(crate) async fn copy(&self, from: &str, to: &str) -> Result<bool, BlobError> {
        let mut ask = Ask::new(Method::PUT, to);
        let source = format!("/{}/{}{from}", self.settings.bucket, self.settings.prefix);
        ask.headers.push(("x-amz-copy-source", source));
        ask.headers.push(("x-amz-metadata-directive", "REPLACE".to_owned()));
        let copied = self.ask_xml(&format!("copy {from} to {to}"), &ask, "CopyObjectResult").await?;
        Ok(copied.is_some())
    }

    /// Removes an object; nothing happens where there is none.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.ask(&format!("remove {key}"), &Ask::new(Method::DELETE, key)).await?;
        Ok(())
    }

    /// Every object below a prefix: keys without the prefix of the settings, and sizes in bytes.
    pub(crate) async fn list(&self, below: &str) -> Result<Vec<(String, u64)>, BlobError> {
        let prefix = &self.settings.prefix;
        let mut all = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let mut ask = Ask::new(Method::GET, "");
            ask.query.push(("list-type", "2".to_owned()));
            ask.query.push(("prefix", format!("{prefix}{below}")));
            ask.query.extend(next.map(|token| ("continuation-token", token)));
            let page = self.page(&ask, below).await?;
            let own = |(key, size): (String, u64)| Some((key.strip_prefix(prefix.as_str())?.to_owned(), size));
            all.extend(page.objects.into_iter().filter_map(own));
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// Whether the bucket is there and may be listed.
    pub(crate) async fn check_bucket(&self) -> Result<(), BlobError> {
        let mut ask = Ask::new(Method::GET, "");
        ask.query.push(("list-type", "2".to_owned()));
        ask.query.push(("max-keys", "1".to_owned()));
        ask.query.push(("prefix", format!("{}sha256/", self.settings.prefix)));
        self.page(&ask, "the bucket").await.map(|_| ())
    }

    async fn page(&self, ask: &Ask, what: &str) -> Result<Page, BlobError> {
        let mut patience = self.patience(format!("list {what}"));
        loop {
            let fault = match self.once(ask).await {
                Ok(response) if response.status() == StatusCode::NOT_FOUND => {
                    self.refused(response, &patience.step).await
                }
                Ok(response) => match self.whole(response.into_body(), PAGE_BYTES_MAX).await {
                    Ok(bytes) => match std::str::from_utf8(&bytes).ok().and_then(Page::parse) {
                        Some(page) => return Ok(page),
                        None => Fault::Again("an answer that is no list".to_owned()),
                    },
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            patience.after(fault).await?;
        }
    }

    /// A request whose answer is an element of XML, which S3 may promise with 200 and then not deliver. `None` where
    /// what it is about is not there.
    async fn ask_xml(&self, step: &str, ask: &Ask, name: &str) -> Result<Option<String>, BlobError> {
        let mut patience = self.patience(step.to_owned());
        loop {
            let fault = match self.once(ask).await {
                Ok(response) if response.status() == StatusCode::NOT_FOUND => return Ok(None),
                Ok(response) => match self.whole(response.into_body(), PAGE_BYTES_MAX).await {
                    Ok(bytes) => {
                        let text = String::from_utf8_lossy(&bytes);
                        match answer::element(&text, name) {
                            Some(inner) => return Ok(Some(inner.to_owned())),
                            None => Fault::Again(format!("an answer without {name}")),
                        }
                    }
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            patience.after(fault).await?;
        }
    }

    /// A 404 may mean that the bucket is gone, which must not pass for an empty one.
    async fn really_missing(&self, key: &str, response: Response<Incoming>) -> Result<(), Fault> {
        match self.refused(response, &format!("read {key}")).await {
            Fault::Final(BlobError::Refused { code, .. }) if code == "NoSuchKey" => Ok(()),
            fault => Err(fault),
        }
    }
}

/// The key of a blob.
pub(crate) fn blob_key(digest: &Digest) -> String {
    let name = digest.to_string();
    let shard = name.get(..2).unwrap_or_default();
    format!("sha256/{shard}/{name}")
}

fn header_of(response: &Response<Incoming>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}
