//! Clean-up: old deployments by count and by a byte budget, then blobs that nothing names.
//!
//! It touches only our own objects, never what is live or kept for rollback. A blob goes in this order: nobody names
//! it → uploads are no longer told that it is present → the file goes, unless it was stored again meanwhile.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use skylift_blob::Blobs;
use skylift_bus::{Bus, Message};
use skylift_model::manifest::DOCUMENT_BYTES_MAX;
use skylift_model::site::Site;
use skylift_model::{Clock, Digest, Manifest, Program};
use skylift_store::{Expired, References, Store};

/// Blobs stored more recently than this stay: an upload in progress may be about to name them.
const GRACE: Duration = Duration::from_secs(3600);

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// How many deployments that were live are kept for each app, besides the live one.
    pub deployments: u32,
    /// How many bytes our blobs may take before older deployments go as well.
    pub bytes: u64,
    /// How long an unnamed blob stays.
    pub grace: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self { deployments: 10, bytes: 20 << 30, grace: GRACE }
    }
}

/// What a clean-up did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cleaned {
    /// Deployments forgotten.
    pub deployments: u64,
    /// Blobs removed.
    pub blobs: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// Bytes still stored.
    pub bytes_left: u64,
}

/// What a clean-up saw.
#[derive(Clone, Debug)]
pub struct Look {
    seen: References,
    unnamed: Vec<Digest>,
    /// Of all blobs.
    bytes: u64,
    /// Named blobs that are not stored, or were found damaged.
    lost: HashSet<Digest>,
    /// Unnamed ones that were.
    idle: Vec<Digest>,
}

/// Blobs that are named.
struct Named {
    /// By what deployments serve and run.
    served: HashSet<Digest>,
    /// By uploads. Of one that is under way, or was broken off, not all is there.
    sent: HashSet<Digest>,
}

impl Named {
    fn has(&self, digest: &Digest) -> bool {
        self.served.contains(digest) || self.sent.contains(digest)
    }
}

/// What clean-up works on.
#[derive(Clone)]
pub struct Cleanup {
    pub store: Store,
    pub blobs: Blobs,
    pub bus: Bus,
    pub clock: Clock,
}

impl Cleanup {
    /// One whole clean-up. Safe to repeat and to be killed anywhere in.
    pub async fn run(&self, keep: Keep) -> anyhow::Result<Cleaned> {
        let mut cleaned = Cleaned::default();
        for expired in self.store.expired_deployments(keep.deployments).await? {
            cleaned.deployments += u64::from(self.forget(&expired).await?);
        }
        self.store.forget_unused(self.clock.now()).await?;
        self.sweep(keep.grace, &mut cleaned).await?;
        if cleaned.bytes_left > keep.bytes {
            self.forget_beyond_budget(keep, &mut cleaned).await?;
        }
        Ok(cleaned)
    }

    /// Forgets the deployments that were live longest ago until what is left fits the budget.
    async fn forget_beyond_budget(&self, keep: Keep, cleaned: &mut Cleaned) -> anyhow::Result<()> {
        for expired in self.store.oldest_previous().await? {
            if cleaned.bytes_left <= keep.bytes {
                break;
            }
            if self.forget(&expired).await? {
                cleaned.deployments += 1;
                self.sweep(keep.grace, cleaned).await?;
            }
        }
        Ok(())
    }

    async fn forget(&self, expired: &Expired) -> anyhow::Result<bool> {
        if !self.store.forget_deployment(expired.deployment.clone()).await? {
            return Ok(false);
        }
        for folder in ["output", "build"] {
            let key = format!("{folder}/{}/manifest.json", expired.deployment);
            self.blobs.delete_object(key.parse()?).await?;
        }
        self.bus.publish(Message::RoutesChanged(expired.app.clone()));
        Ok(true)
    }

    /// Removes blobs that nothing names.
    async fn sweep(&self, grace: Duration, cleaned: &mut Cleaned) -> anyhow::Result<()> {
        let look = self.look().await?;
        crate::lost::tell(self, &look.lost, &look.seen.artifacts).await?;
        self.blobs.forget_lost(look.idle.clone()).await?;
        self.release(look, grace, cleaned).await
    }

    /// The images that stored deployments run.
    pub async fn images(&self) -> anyhow::Result<HashSet<String>> {
        let mut images = HashSet::new();
        for digest in self.store.references().await?.programs {
            images.extend(self.document::<Program>(&digest).await?.image);
        }
        Ok(images)
    }

    /// Looks which blobs nothing names.
    pub async fn look(&self) -> anyhow::Result<Look> {
        let seen = self.store.references().await?;
        let named = self.named(&seen).await?;
        let stored = self.blobs.list().await?;
        let bytes = stored.iter().map(|(_, size)| size).sum();
        let stored: HashSet<Digest> = stored.into_iter().map(|(digest, _)| digest).collect();
        let unnamed = stored.iter().copied().filter(|digest| !named.has(digest)).collect();
        let (noted, idle): (Vec<_>, Vec<_>) =
            self.blobs.lost().await?.into_iter().partition(|digest| named.has(digest));
        let lost = named.served.difference(&stored).copied().chain(noted).collect();
        Ok(Look { seen, unnamed, bytes, lost, idle })
    }

    /// Removes what was seen to be unnamed, unless anything was named since.
    pub async fn release(&self, look: Look, grace: Duration, cleaned: &mut Cleaned) -> anyhow::Result<()> {
        cleaned.bytes_left = look.bytes;
        if look.unnamed.is_empty() {
            return Ok(());
        }
        let Some(released) = self.store.release_blobs(look.unnamed, look.seen).await? else {
            // Something new was named meanwhile; the next clean-up looks again.
            return Ok(());
        };
        let count = released.len() as u64;
        let freed = self.blobs.delete_stale(released, grace, SystemTime::UNIX_EPOCH + self.now()).await?;
        cleaned.blobs += if freed == 0 { 0 } else { count };
        cleaned.bytes += freed;
        cleaned.bytes_left = look.bytes.saturating_sub(freed);
        Ok(())
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.clock.now().as_millis()).unwrap_or(0))
    }

    /// Every blob that a manifest, a program or a site's table names, and those documents themselves. A document that cannot be
    /// read stops the clean-up: what it names is unknown, and must stay.
    async fn named(&self, references: &References) -> anyhow::Result<Named> {
        let mut sent = HashSet::new();
        for digest in &references.manifests {
            self.name_files(digest, &mut sent).await?;
        }
        let mut served: HashSet<Digest> = references.packs.iter().chain(&references.runs).copied().collect();
        for digest in &references.programs {
            let program: Program = self.document(digest).await?;
            served.insert(*digest);
            self.name_files(&program.files, &mut served).await?;
        }
        for digest in &references.artifacts {
            let site: Site = self.document(digest).await?;
            served.insert(*digest);
            for asset in site.files.values() {
                served.insert(asset.sha256);
                served.extend(asset.variants.iter().map(|variant| variant.sha256));
            }
        }
        Ok(Named { served, sent })
    }

    /// A list of files and all that it names.
    async fn name_files(&self, digest: &Digest, named: &mut HashSet<Digest>) -> anyhow::Result<()> {
        let manifest: Manifest = self.document(digest).await?;
        named.insert(*digest);
        named.extend(manifest.files().iter().map(|file| file.sha256));
        Ok(())
    }

    pub(crate) async fn document<T: serde::de::DeserializeOwned>(&self, digest: &Digest) -> anyhow::Result<T> {
        let bytes = self.blobs.get(digest, DOCUMENT_BYTES_MAX).await?;
        let bytes = bytes.with_context(|| format!("blob {digest} is named but not stored"))?;
        serde_json::from_slice(&bytes).with_context(|| format!("read blob {digest}"))
    }
}
