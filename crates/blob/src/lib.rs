//! Bytes by digest.
//!
//! A blob is named by the SHA-256 of its bytes, so it never changes and storing it twice stores it once. Beside
//! the blobs lie a few named objects (manifests under `output/{deployment-id}` and `build/{deployment-id}`), which
//! only point at blobs.
//!
//! Two back ends keep the same promises: a folder, and an S3-compatible object store with a folder in front of it.
//! Whatever was acknowledged is durable, whatever is read was checked against its digest.

mod cache;
mod checked;
mod directory;
mod error;
mod key;
mod layout;
mod remote;
mod s3;
mod signed;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use skylift_model::Digest;
use tokio::sync::Semaphore;

pub use directory::Stored;
pub use error::BlobError;
pub use key::{InvalidKey, ObjectKey};
pub use layout::{Access, LayOutError};
pub use s3::settings::{Hidden, S3Settings};
pub use signed::{Answered, Signed, SignedSettings};
pub use writer::BlobWriter;

use directory::{Directory, Durability, Partial};
use remote::Remote;

/// How many large blobs are checked at once: it takes a core each.
const CHECKS_AT_ONCE: usize = 2;

/// The blob store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Blobs {
    backend: Backend,
    checks: Arc<Semaphore>,
}

/// Where the bytes are.
#[derive(Clone)]
enum Backend {
    Folder(Arc<Directory>),
    Remote(Arc<Remote>),
}

impl Blobs {
    /// Opens the store in a folder, which is made where it does not exist.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        Ok(Self::on(Backend::Folder(Arc::new(Directory::open(root, Durability::Synced)?))))
    }

    /// Opens the store in a bucket, with a folder of this process alone as its cache. An error where settings,
    /// credentials or the bucket are wrong; not where the object store does not answer at the moment.
    pub async fn open_s3(settings: S3Settings, cache: &Path) -> Result<Self, BlobError> {
        Ok(Self::on(Backend::Remote(Arc::new(Remote::open(settings, cache).await?))))
    }

    fn on(backend: Backend) -> Self {
        Self { backend, checks: Arc::new(Semaphore::new(CHECKS_AT_ONCE)) }
    }

    /// Stores bytes; they are durable when this returns.
    pub async fn put(&self, bytes: Vec<u8>) -> Result<Digest, BlobError> {
        let digests = self.put_all(vec![bytes]).await?;
        digests.into_iter().next().ok_or(BlobError::Interrupted)
    }

    /// Stores many small blobs with few waits; all are durable when this returns.
    pub async fn put_all(&self, all: Vec<Vec<u8>>) -> Result<Vec<Digest>, BlobError> {
        match &self.backend {
            Backend::Folder(folder) => blocking(folder, move |folder| folder.put_all(&all)).await,
            Backend::Remote(remote) => remote.put_all(all).await,
        }
    }

    /// Stores bytes that come in pieces, of which there may be too many for memory.
    pub async fn writer(&self) -> Result<BlobWriter, BlobError> {
        let store = self.clone();
        let started = tokio::task::spawn_blocking(move || BlobWriter::start(store));
        started.await.map_err(|_| BlobError::Interrupted)?
    }

    /// The bytes of a blob, checked against its digest. `None` where there is none; refuses one larger than
    /// `bytes_max`.
    pub async fn get(&self, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, BlobError> {
        let digest = *digest;
        match &self.backend {
            Backend::Folder(folder) => blocking(folder, move |folder| folder.get(&digest, bytes_max)).await,
            Backend::Remote(remote) => remote.get(&digest, bytes_max).await,
        }
    }

    /// An open file with the blob's bytes, for streaming. They were checked: a file is read in full the first time,
    /// and again after anything touched it.
    pub async fn open_file(&self, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        let digest = *digest;
        let folder = match &self.backend {
            Backend::Folder(folder) => folder,
            Backend::Remote(remote) => return remote.open_file(&digest).await,
        };
        let opened = blocking(folder, move |folder| match folder.open_unchecked(&digest)? {
            Some(stored) => Ok(Some((folder.is_checked(&digest, &stored)?, stored))),
            None => Ok(None),
        });
        let Some((is_checked, stored)) = opened.await? else { return Ok(None) };
        if is_checked {
            return Ok(Some(stored));
        }
        let _one_of_few = self.checks.acquire().await;
        // Somebody else may have checked it meanwhile.
        blocking(folder, move |folder| folder.open_file(&digest)).await
    }

    /// The same for callers that may block; never from a thread of the runtime.
    pub fn read_file(&self, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        match &self.backend {
            Backend::Folder(folder) => folder.open_file(digest),
            Backend::Remote(remote) => remote.open_blocking(digest),
        }
    }

    /// Whether the blob is stored. What clean-up put aside is taken back by that.
    pub async fn contains(&self, digest: &Digest) -> Result<bool, BlobError> {
        let digest = *digest;
        match &self.backend {
            Backend::Folder(folder) => blocking(folder, move |folder| folder.contains(&digest)).await,
            Backend::Remote(remote) => remote.contains(&digest).await,
        }
    }

    /// Those of some blobs, given with their sizes in bytes, that are known not to be had: somebody who read them found them
    /// missing or damaged, and nobody has stored them since. Cheap: bytes are not read, and an object store is asked for
    /// its notes only, so that what nobody has read yet may be lost all the same.
    pub async fn lost_of(&self, wanted: Vec<(Digest, u64)>) -> Result<Vec<Digest>, BlobError> {
        match &self.backend {
            Backend::Folder(folder) => blocking(folder, move |folder| Ok(folder.lost_of(&wanted))).await,
            Backend::Remote(remote) => remote.lost_of(&wanted).await,
        }
    }

    /// All blobs that were found missing or damaged when they were read, and that nobody has stored since.
    pub async fn lost(&self) -> Result<Vec<Digest>, BlobError> {
        match &self.backend {
            Backend::Folder(folder) => Ok(folder.lost()),
            Backend::Remote(remote) => remote.lost().await,
        }
    }

    /// How many blobs are lost as far as this process knows.
    pub fn lost_count(&self) -> usize {
        match &self.backend {
            Backend::Folder(folder) => folder.lost().len(),
            Backend::Remote(remote) => remote.lost_count(),
        }
    }

    /// Forgets that these blobs are lost: nothing names them. Who misses one of them notes it again.
    pub async fn forget_lost(&self, digests: Vec<Digest>) -> Result<(), BlobError> {
        match &self.backend {
            Backend::Folder(folder) => {
                let forget = move |folder: &Directory| {
                    folder.forget_lost(&digests);
                    Ok(())
                };
                blocking(folder, forget).await
            }
            Backend::Remote(remote) => remote.forget_lost(&digests).await,
        }
    }

    /// Gives a stored blob a second name in a folder of the same disk (a hard link, so nothing is copied; a copy
    /// where links cannot be made). The bytes stay shared: the caller must not let anybody write through it.
    /// Blocking; never from a thread of the runtime.
    pub fn link_into(&self, digest: &Digest, to: &Path) -> Result<(), BlobError> {
        match &self.backend {
            Backend::Folder(folder) => folder.link_into(digest, to),
            Backend::Remote(remote) => {
                let stored = remote.open_blocking(digest)?.ok_or(BlobError::Missing(*digest))?;
                remote.cache.folder.link(digest, &stored, to)
            }
        }
    }

    /// Copies a stored blob to a new file with these permission bits. Blocking; never from a thread of the runtime.
    pub fn copy_into(&self, digest: &Digest, to: &Path, mode: u32) -> Result<(), BlobError> {
        let stored = self.read_file(digest)?.ok_or(BlobError::Missing(*digest))?;
        directory::copy(&stored, to, mode)
    }

    /// Stores or replaces a named object.
    pub async fn put_object(&self, key: ObjectKey, bytes: Vec<u8>) -> Result<(), BlobError> {
        match &self.backend {
            Backend::Folder(folder) => blocking(folder, move |folder| folder.put_object(&key, &bytes)).await,
            Backend::Remote(remote) => remote.put_object(&key, bytes).await,
        }
    }

    /// Gives a stored blob the name of an object; nothing is copied where the store can share bytes.
    pub async fn name_object(&self, key: ObjectKey, digest: &Digest) -> Result<(), BlobError> {
        let digest = *digest;
        match &self.backend {
            Backend::Folder(folder) => blocking(folder, move |folder| folder.name_object(&key, &digest)).await,
            Backend::Remote(remote) => remote.name_object(&key, &digest).await,
        }
    }

    /// The bytes of a named object.
    pub async fn get_object(&self, key: ObjectKey) -> Result<Option<Vec<u8>>, BlobError> {
        match &self.backend {
            Backend::Folder(folder) => blocking(folder, move |folder| folder.get_object(&key)).await,
            Backend::Remote(remote) => remote.get_object(&key).await,
        }
    }

    /// Removes a named object; nothing happens where there is none.
    pub async fn delete_object(&self, key: ObjectKey) -> Result<(), BlobError> {
        match &self.backend {
            Backend::Folder(folder) => blocking(folder, move |folder| folder.delete_object(&key)).await,
            Backend::Remote(remote) => remote.delete_object(&key).await,
        }
    }

    /// Every blob with its size in bytes, in no order.
    pub async fn list(&self) -> Result<Vec<(Digest, u64)>, BlobError> {
        match &self.backend {
            Backend::Folder(folder) => {
                let found = blocking(folder, Directory::list).await?;
                Ok(found.into_iter().map(|(digest, meta)| (digest, meta.len())).collect())
            }
            Backend::Remote(remote) => remote.list().await,
        }
    }

    /// How many bytes all blobs take, for showing: where counting is dear it may be a minute old.
    pub async fn used_bytes(&self) -> Result<u64, BlobError> {
        match &self.backend {
            Backend::Folder(_) => Ok(self.list().await?.iter().map(|(_, size)| size).sum()),
            Backend::Remote(remote) => remote.used_bytes().await,
        }
    }

    /// Removes those of `digests` that nobody has stored again within `grace` of `now`; returns the bytes freed.
    /// Nothing may name them. Whoever stores one of them meanwhile and is told so finds it there afterwards.
    ///
    /// In a folder they go at once. In an object store, which others write to, they go to its trash, and from there
    /// when they are asked to be removed again after another `grace`; until then, reading them brings them back.
    pub async fn delete_stale(&self, digests: Vec<Digest>, grace: Duration, now: SystemTime) -> Result<u64, BlobError> {
        match &self.backend {
            Backend::Folder(folder) => blocking(folder, move |folder| folder.delete_stale(&digests, grace, now)).await,
            Backend::Remote(remote) => remote.delete_stale(digests, grace, now).await,
        }
    }

    /// Appends counts in the Prometheus text format.
    pub fn render_metrics(&self, out: &mut String) {
        let corrupt = self.folder().corrupt();
        out.push_str(&format!("# TYPE skylift_blob_corrupt_total counter\nskylift_blob_corrupt_total {corrupt}\n"));
        let lost = self.lost_count();
        out.push_str(&format!("# TYPE skylift_blob_lost gauge\nskylift_blob_lost {lost}\n"));
        if let Backend::Remote(remote) = &self.backend {
            remote.render(out);
        }
    }

    /// The folder that bytes on their way are gathered in.
    fn folder(&self) -> &Directory {
        match &self.backend {
            Backend::Folder(folder) => folder,
            Backend::Remote(remote) => &remote.cache.folder,
        }
    }

    async fn finish(&self, partial: Partial, digest: Digest) -> Result<(), BlobError> {
        match &self.backend {
            Backend::Folder(folder) => {
                let Partial { path, file, size, .. } = partial;
                blocking(folder, move |folder| folder.finish_partial(path, file, size, digest)).await
            }
            Backend::Remote(remote) => {
                // In a task of its own: a caller that goes away must not leave half of it behind.
                let remote = remote.clone();
                let finished = tokio::spawn(async move { remote.finish(partial, digest).await });
                finished.await.map_err(|_| BlobError::Interrupted)?
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    folder: &Arc<Directory>,
    work: impl FnOnce(&Directory) -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let folder = folder.clone();
    match tokio::task::spawn_blocking(move || work(&folder)).await {
        Ok(result) => result,
        Err(_) => Err(BlobError::Interrupted),
    }
}
