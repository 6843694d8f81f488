//! Sites by the digest of their artifact: read, checked and prepared once.
//!
//! What is live is held by the route table; this keeps others for a while, as far as a budget goes.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use skylift_blob::{BlobError, Blobs};
use skylift_model::Digest;
use skylift_model::site::Site;
use tokio::time::timeout;

use crate::content::Outage;
use crate::site::ServedSite;

/// Why an artifact cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SiteError {
    #[error("read artifact {0}")]
    Read(Digest, #[source] BlobError),
    #[error("artifact {0} was not there in time")]
    Late(Digest),
    #[error("artifact {0} is not stored")]
    Missing(Digest),
    #[error("artifact {0} is not a manifest")]
    Malformed(Digest, #[source] serde_json::Error),
    #[error("the process is shutting down")]
    Interrupted,
}

impl SiteError {
    /// Whether the site is only out of reach.
    pub(crate) fn outage(&self) -> Option<Outage> {
        match self {
            Self::Late(_) => Some(Outage::Late),
            Self::Read(_, error) => Outage::of(error),
            Self::Missing(_) | Self::Malformed(..) | Self::Interrupted => None,
        }
    }
}

/// How long a manifest may take to be read.
const WITHIN: Duration = Duration::from_secs(20);

/// The sites in memory, and how others get there.
pub(crate) struct Sites {
    blobs: Blobs,
    manifest_bytes_max: u64,
    cache: Cache<Digest, Arc<ServedSite>, ByBytes>,
}

#[derive(Clone)]
struct ByBytes {
    most: u64,
}

impl Weighter<Digest, Arc<ServedSite>> for ByBytes {
    fn weight(&self, _: &Digest, site: &Arc<ServedSite>) -> u64 {
        // One that is larger than the whole budget would never stay, and be read again for every request.
        site.bytes().clamp(1, self.most)
    }
}

impl Sites {
    pub(crate) fn new(blobs: Blobs, cache_bytes: u64, manifest_bytes_max: u64) -> Self {
        let most = (cache_bytes / 2).max(1);
        let mut options = OptionsBuilder::new();
        // One shard: budgets are split evenly among shards, and a few large sites are not even.
        options.shards(1).estimated_items_capacity(64).weight_capacity(cache_bytes.max(2));
        let cache = match options.build() {
            Ok(options) => Cache::with_options(
                options,
                ByBytes { most },
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            Err(_) => Cache::with_weighter(64, cache_bytes.max(2), ByBytes { most }),
        };
        Self { blobs, manifest_bytes_max, cache }
    }

    /// The site of an artifact. Many asking at once wait for one reading.
    pub(crate) async fn get(&self, artifact: &Digest) -> Result<Arc<ServedSite>, SiteError> {
        self.cache.get_or_insert_async(artifact, self.load(*artifact)).await
    }

    async fn load(&self, artifact: Digest) -> Result<Arc<ServedSite>, SiteError> {
        let bytes = timeout(WITHIN, self.blobs.get(&artifact, self.manifest_bytes_max)).await;
        let bytes = bytes.map_err(|_| SiteError::Late(artifact))?;
        let bytes = bytes.map_err(|error| SiteError::Read(artifact, error))?.ok_or(SiteError::Missing(artifact))?;
        let work = tokio::task::spawn_blocking(move || {
            serde_json::from_slice::<Site>(&bytes).map(ServedSite::new).map(Arc::new)
        });
        let parsed = work.await.map_err(|_| SiteError::Interrupted)?;
        parsed.map_err(|error| SiteError::Malformed(artifact, error))
    }
}
