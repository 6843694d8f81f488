//! Removing blobs from a store that other processes write to.
//!
//! ```text
//! stored ── unnamed for longer than the grace ──▶ trash ── still unnamed after another grace ──▶ gone
//!    ▲                                              │
//!    └────────────── read, or named ────────────────┘
//! ```
//!
//! S3 cannot remove an object only if it is still as old as it was. Somebody may store the blob anew, and be told so,
//! between our look and our removal. So what is removed is copied aside first, and whoever misses a blob finds it
//! there. A copy is thrown away when it is older than the grace: by then whoever stored the blob has named it, and
//! what is named is never asked to be removed. Every removal makes a copy of its own, so that nobody throws away
//! another's.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use ring::rand::{SecureRandom, SystemRandom};
use skylift_model::Digest;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{AT_ONCE, Remote};
use crate::error::BlobError;
use crate::s3::blob_key;

const TRASH: &str = "trash/";

impl Remote {
    /// Every blob with its size, those in the trash included.
    pub(crate) async fn list(&self) -> Result<Vec<(Digest, u64)>, BlobError> {
        let mut blobs: BTreeMap<Digest, u64> = BTreeMap::new();
        for (key, size) in self.s3.list("sha256/").await? {
            if let Some(digest) = key.rsplit('/').next().and_then(|name| name.parse().ok()) {
                *blobs.entry(digest).or_default() += size;
            }
        }
        for copy in self.trash().await? {
            *blobs.entry(copy.digest).or_default() += copy.size;
        }
        let sum = blobs.values().sum();
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), sum));
        Ok(blobs.into_iter().collect())
    }

    /// See [`crate::Blobs::delete_stale`].
    pub(crate) async fn delete_stale(
        self: &Arc<Self>,
        digests: Vec<Digest>,
        grace: Duration,
        now: SystemTime,
    ) -> Result<u64, BlobError> {
        let unnamed: HashSet<Digest> = digests.iter().copied().collect();
        let mut freed = 0;
        // First what is in the trash, so that nothing goes there and away in one call.
        let mut work = JoinSet::new();
        for copy in self.trash().await? {
            let (remote, is_unnamed) = (self.clone(), unnamed.contains(&copy.digest));
            freed += one_of(&mut work, async move { remote.empty(copy, is_unnamed, grace, now).await }).await?;
        }
        for digest in digests {
            let remote = self.clone();
            freed += one_of(&mut work, async move { remote.put_aside(&digest, grace, now).await }).await?;
        }
        while let Some(done) = work.join_next().await {
            freed += done.map_err(|_| BlobError::Interrupted)??;
        }
        Ok(freed)
    }

    /// Takes a blob back from the trash; whether it was there.
    pub(crate) async fn restore(&self, digest: &Digest) -> Result<bool, BlobError> {
        for (copy, _) in self.s3.list(&format!("{TRASH}{digest}/")).await? {
            if self.s3.copy(&copy, &blob_key(digest)).await? {
                tracing::info!(blob = %digest, "a blob that is wanted was taken back from the trash");
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn trash(&self) -> Result<Vec<Copy>, BlobError> {
        let copies = self.s3.list(TRASH).await?;
        let parse = |(key, size): (String, u64)| {
            let digest = key.strip_prefix(TRASH)?.split('/').next()?.parse().ok()?;
            Some(Copy { key, digest, size })
        };
        Ok(copies.into_iter().filter_map(parse).collect())
    }

    /// Moves a blob to the trash, unless somebody stored it within the grace. Frees nothing yet.
    async fn put_aside(&self, digest: &Digest, grace: Duration, now: SystemTime) -> Result<u64, BlobError> {
        let key = blob_key(digest);
        let is_old = self.s3.head(&key).await?.is_some_and(|seen| is_stale(seen.stored, grace, now));
        if is_old && self.s3.copy(&key, &copy_key(digest)?).await? {
            self.s3.delete(&key).await?;
        }
        Ok(0)
    }

    /// Throws a copy away that is older than the grace, where the blob is unnamed, or is there as well.
    async fn empty(&self, copy: Copy, is_unnamed: bool, grace: Duration, now: SystemTime) -> Result<u64, BlobError> {
        let is_old = self.s3.head(&copy.key).await?.is_some_and(|seen| is_stale(seen.stored, grace, now));
        if !is_old || !is_unnamed && self.s3.head(&blob_key(&copy.digest)).await?.is_none() {
            return Ok(0);
        }
        self.s3.delete(&copy.key).await?;
        Ok(copy.size)
    }
}

/// A blob in the trash.
struct Copy {
    key: String,
    digest: Digest,
    size: u64,
}

/// Times of objects are cut to the second: one that seems just old enough may be younger.
fn is_stale(stored: SystemTime, grace: Duration, now: SystemTime) -> bool {
    now.duration_since(stored + Duration::from_secs(1)).is_ok_and(|age| age >= grace)
}

/// A name in the trash that nobody else makes.
fn copy_key(digest: &Digest) -> Result<String, BlobError> {
    let mut random = [0_u8; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| BlobError::Interrupted)?;
    Ok(format!("{TRASH}{digest}/{:016x}", u64::from_be_bytes(random)))
}

/// Starts one more, where enough run already after one of them has ended; returns what that one freed.
async fn one_of(
    work: &mut JoinSet<Result<u64, BlobError>>,
    next: impl Future<Output = Result<u64, BlobError>> + Send + 'static,
) -> Result<u64, BlobError> {
    let freed = match work.len() < AT_ONCE {
        true => 0,
        false => work.join_next().await.transpose().map_err(|_| BlobError::Interrupted)?.transpose()?.unwrap_or(0),
    };
    work.spawn(next);
    Ok(freed)
}
