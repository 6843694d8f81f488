//! Blobs in an object store that several processes share, with a folder of each process in front.
//!
//! ```text
//! sha256/ab/abcdef…     a blob
//! trash/abcdef…/1f2e…   one that nothing named for long; see `remote/sweep.rs`
//! objects/output/…      a named object
//! lost/abcdef…          a note: whoever read this blob found it damaged or missing; see `remote/lost.rs`
//! ```
//!
//! A write is durable in the object store before it is acknowledged. A read is served from the folder, else fetched
//! once, however many ask, and checked before anybody sees a byte of it.

mod fetch;
mod lost;
mod sweep;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use skylift_model::Digest;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cache::Cache;
use crate::directory::{Partial, Stored};
use crate::error::BlobError;
use crate::key::ObjectKey;
use crate::s3::settings::S3Settings;
use crate::s3::{S3, WHOLE_BYTES_MAX, blob_key};
use lost::Doubt;

/// How many requests one call makes at once.
const AT_ONCE: usize = 16;
/// A named object is a small document.
const OBJECT_BYTES_MAX: usize = 64 << 20;
/// How long a start waits to hear that settings, credentials and the bucket are right.
const CHECK_WITHIN: Duration = Duration::from_secs(2);
/// How long a sum of what is stored is good enough to be shown.
const SUM_KEPT: Duration = Duration::from_secs(60);

/// One blob on its way; others wait for it. It holds how the last attempt failed.
type Flight = tokio::sync::Mutex<Option<Failure>>;

/// What is doubted, and why.
type Known = HashMap<Digest, Doubt>;

/// The object store did not answer.
struct Failure {
    at: Instant,
    step: String,
    why: String,
}

pub(crate) struct Remote {
    s3: Arc<S3>,
    pub(crate) cache: Cache,
    flights: Mutex<HashMap<Digest, Arc<Flight>>>,
    /// What is known to be lost or damaged in the object store, and is therefore stored anew when it comes again.
    known: Mutex<Known>,
    sum: Mutex<Option<(Instant, u64)>>,
    runtime: Handle,
    hits: AtomicU64,
    fetched: AtomicU64,
    fetched_bytes: AtomicU64,
    corrupt: AtomicU64,
}

impl Remote {
    /// Opens the store. An error where settings, credentials or the bucket are wrong; a store that does not answer is
    /// none: what is in the folder can be served without it.
    pub(crate) async fn open(settings: S3Settings, folder: &Path) -> Result<Self, BlobError> {
        let cache_bytes = settings.cache_bytes;
        let s3 = Arc::new(S3::new(settings)?);
        let away = match tokio::time::timeout(CHECK_WITHIN, s3.check_bucket()).await {
            Err(_) => Some(format!("no answer within {CHECK_WITHIN:?}")),
            Ok(Err(error @ BlobError::Unavailable { .. })) => Some(error.to_string()),
            Ok(checked) => checked.map(|()| None)?,
        };
        if let Some(error) = away {
            tracing::warn!(error, "starting without the object store; only what is in the cache can be read");
        }
        let folder = folder.to_owned();
        let cache = tokio::task::spawn_blocking(move || Cache::open(&folder, cache_bytes)).await;
        Ok(Self {
            s3,
            cache: cache.map_err(|_| BlobError::Interrupted)??,
            flights: Mutex::default(),
            known: Mutex::default(),
            sum: Mutex::default(),
            runtime: Handle::current(),
            hits: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            fetched_bytes: AtomicU64::new(0),
            corrupt: AtomicU64::new(0),
        })
    }

    /// Stores bytes, many at once; all are durable when this returns. What is there already is stored again: that
    /// costs no more than asking, repairs it where it was damaged, and makes it new for clean-up.
    pub(crate) async fn put_all(self: &Arc<Self>, all: Vec<Vec<u8>>) -> Result<Vec<Digest>, BlobError> {
        let all: Vec<Bytes> = all.into_iter().map(Bytes::from).collect();
        let digests: Vec<Digest> = all.iter().map(|bytes| Digest::of(bytes)).collect();
        let mut waiting = digests.iter().zip(&all);
        let mut puts = JoinSet::new();
        loop {
            while puts.len() < AT_ONCE
                && let Some((digest, bytes)) = waiting.next()
            {
                let (s3, key, bytes) = (self.s3.clone(), blob_key(digest), bytes.clone());
                puts.spawn(async move { s3.put(&key, bytes).await });
            }
            match puts.join_next().await {
                Some(done) => done.map_err(|_| BlobError::Interrupted)??,
                None => break,
            }
        }
        for digest in &digests {
            self.is_whole(digest).await;
        }
        let all = all.into_iter().map(Vec::from).collect::<Vec<_>>();
        self.keeping(move |remote| remote.cache.put_all(&all)).await;
        Ok(digests)
    }

    /// Stores what a writer gathered.
    pub(crate) async fn finish(self: &Arc<Self>, partial: Partial, digest: Digest) -> Result<(), BlobError> {
        let Partial { path, file, size, .. } = partial;
        let key = blob_key(&digest);
        let file = Arc::new(file);
        if size <= WHOLE_BYTES_MAX || !self.refresh(&key, &digest, size).await? {
            self.s3.put_file(&key, file.clone(), size).await?;
            self.is_whole(&digest).await;
        }
        self.keeping(move |remote| match Arc::into_inner(file) {
            Some(file) => remote.cache.adopt(path, file, size, &digest),
            None => Ok(()),
        })
        .await;
        Ok(())
    }

    /// Makes a large blob that is there already count as stored just now; whether it is there.
    async fn refresh(&self, key: &str, digest: &Digest, size: u64) -> Result<bool, BlobError> {
        if self.s3.head(key).await?.is_none_or(|seen| seen.size != size) || self.is_doubted(digest).await? {
            return Ok(false);
        }
        match self.s3.copy(key, key).await {
            // A store that cannot copy gets the bytes.
            Err(BlobError::Refused { .. }) => Ok(false),
            copied => copied,
        }
    }

    pub(crate) async fn contains(&self, digest: &Digest) -> Result<bool, BlobError> {
        let key = blob_key(digest);
        let is_there = self.s3.head(&key).await?.is_some() || self.restore(digest).await?;
        Ok(is_there && !self.is_doubted(digest).await?)
    }

    pub(crate) async fn put_object(&self, key: &ObjectKey, bytes: Vec<u8>) -> Result<(), BlobError> {
        self.s3.put(&object_key(key), bytes.into()).await
    }

    pub(crate) async fn name_object(&self, key: &ObjectKey, digest: &Digest) -> Result<(), BlobError> {
        let (from, to) = (blob_key(digest), object_key(key));
        if self.s3.copy(&from, &to).await? || self.restore(digest).await? && self.s3.copy(&from, &to).await? {
            return Ok(());
        }
        Err(BlobError::Missing(*digest))
    }

    pub(crate) async fn get_object(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, BlobError> {
        Ok(self.s3.get(&object_key(key), OBJECT_BYTES_MAX).await?.map(Vec::from))
    }

    pub(crate) async fn delete_object(&self, key: &ObjectKey) -> Result<(), BlobError> {
        self.s3.delete(&object_key(key)).await
    }

    /// How many bytes are stored, at most a minute ago: counting takes a request for every thousand blobs.
    pub(crate) async fn used_bytes(&self) -> Result<u64, BlobError> {
        let known = *self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some((at, sum)) if at.elapsed() < SUM_KEPT => Ok(sum),
            _ => Ok(self.list().await?.iter().map(|(_, size)| size).sum()),
        }
    }

    /// For callers that may block, and are no threads of the runtime.
    pub(crate) fn open_blocking(self: &Arc<Self>, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        match self.cache.open_file(digest) {
            Ok(Some(stored)) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                Ok(Some(stored))
            }
            _ => self.runtime.block_on(self.open_file(digest)),
        }
    }

    /// Counts, as Prometheus text.
    pub(crate) fn render(&self, out: &mut String) {
        let counts = &self.s3.counts;
        for (name, count) in [
            ("s3_requests_total", &counts.requests),
            ("s3_retries_total", &counts.retries),
            ("s3_failures_total", &counts.failures),
            ("cache_hits_total", &self.hits),
            ("cache_fetches_total", &self.fetched),
            ("cache_fetched_bytes_total", &self.fetched_bytes),
            ("s3_corrupt_total", &self.corrupt),
        ] {
            let count = count.load(Ordering::Relaxed);
            out.push_str(&format!("# TYPE skylift_blob_{name} counter\nskylift_blob_{name} {count}\n"));
        }
        let bytes = self.cache.bytes();
        out.push_str(&format!("# TYPE skylift_blob_cache_bytes gauge\nskylift_blob_cache_bytes {bytes}\n"));
    }

    /// Puts something into the folder. Where that fails it is fetched when it is wanted.
    async fn keeping(self: &Arc<Self>, keep: impl FnOnce(&Self) -> Result<(), BlobError> + Send + 'static) {
        let remote = self.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || keep(&remote)).await {
            tracing::warn!(error = %error, "a blob cannot be kept in the cache");
        }
    }
}

fn object_key(key: &ObjectKey) -> String {
    format!("objects/{key}")
}
