//! Bytes by digest.
//!
//! A blob is named by the SHA-256 of its bytes, so it never changes and storing it twice stores it once. Beside
//! the blobs lie a few named objects (manifests under `output/{deployment-id}` and `build/{deployment-id}`), which
//! only point at blobs.
//!
//! Whatever was acknowledged is on disk: bytes are synced before they get their name, and the name is synced before
//! the call returns.

mod directory;
mod key;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use skylift_model::Digest;

pub use directory::{BlobError, Stored};
pub use key::{InvalidKey, ObjectKey};
pub use writer::BlobWriter;

use directory::Directory;

/// The blob store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Blobs(Arc<Directory>);

impl Blobs {
    /// Opens the store in a folder, which is made where it does not exist.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        Ok(Self(Arc::new(Directory::open(root)?)))
    }

    /// Stores bytes; they are durable when this returns.
    pub async fn put(&self, bytes: Vec<u8>) -> Result<Digest, BlobError> {
        self.blocking(move |directory| Ok(directory.put_all(&[bytes])?.remove(0))).await
    }

    /// Stores many small blobs with few waits for the disk; all are durable when this returns.
    pub async fn put_all(&self, all: Vec<Vec<u8>>) -> Result<Vec<Digest>, BlobError> {
        self.blocking(move |directory| directory.put_all(&all)).await
    }

    /// Stores bytes that come in pieces, of which there may be too many for memory.
    pub async fn writer(&self) -> Result<BlobWriter, BlobError> {
        let store = self.0.clone();
        self.blocking(move |_| BlobWriter::start(store)).await
    }

    /// The bytes of a blob, checked against its digest. `None` where there is none; refuses one larger than
    /// `bytes_max`.
    pub async fn get(&self, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, BlobError> {
        let digest = *digest;
        self.blocking(move |directory| directory.get(&digest, bytes_max)).await
    }

    /// An open file with the blob's bytes, for streaming; the bytes are not checked.
    pub async fn open_file(&self, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        let digest = *digest;
        self.blocking(move |directory| directory.open_file(&digest)).await
    }

    /// The same for callers that may block.
    pub fn read_file(&self, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        self.0.open_file(digest)
    }

    /// Whether the blob is stored.
    pub async fn contains(&self, digest: &Digest) -> Result<bool, BlobError> {
        let digest = *digest;
        self.blocking(move |directory| directory.contains(&digest)).await
    }

    /// Gives a stored blob a second name in a folder of the same disk (a hard link, so nothing is copied; a copy
    /// where links cannot be made). The bytes stay shared: the caller must not let anybody write through it.
    /// Blocking.
    pub fn link_into(&self, digest: &Digest, to: &Path) -> Result<(), BlobError> {
        self.0.link_into(digest, to)
    }

    /// Copies a stored blob to a new file with these permission bits. Blocking.
    pub fn copy_into(&self, digest: &Digest, to: &Path, mode: u32) -> Result<(), BlobError> {
        self.0.copy_into(digest, to, mode)
    }

    /// Stores or replaces a named object.
    pub async fn put_object(&self, key: ObjectKey, bytes: Vec<u8>) -> Result<(), BlobError> {
        self.blocking(move |directory| directory.put_object(&key, &bytes)).await
    }

    /// Gives a stored blob the name of an object; nothing is copied where the store can share bytes.
    pub async fn name_object(&self, key: ObjectKey, digest: &Digest) -> Result<(), BlobError> {
        let digest = *digest;
        self.blocking(move |directory| directory.name_object(&key, &digest)).await
    }

    /// The bytes of a named object.
    pub async fn get_object(&self, key: ObjectKey) -> Result<Option<Vec<u8>>, BlobError> {
        self.blocking(move |directory| directory.get_object(&key)).await
    }

    /// Removes a named object; nothing happens where there is none.
    pub async fn delete_object(&self, key: ObjectKey) -> Result<(), BlobError> {
        self.blocking(move |directory| directory.delete_object(&key)).await
    }

    /// Every blob with its size in bytes, in no order.
    pub async fn list(&self) -> Result<Vec<(Digest, u64)>, BlobError> {
        self.blocking(|directory| directory.list()).await
    }

    /// Removes those of `digests` that nobody has stored again within `grace` of `now`; returns the bytes freed.
    /// Storing a blob anew and removing it exclude each other, so a blob that an upload was just told to be present
    /// stays.
    pub async fn delete_stale(&self, digests: Vec<Digest>, grace: Duration, now: SystemTime) -> Result<u64, BlobError> {
        self.blocking(move |directory| directory.delete_stale(&digests, grace, now)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let directory = self.0.clone();
        match tokio::task::spawn_blocking(move || work(&directory)).await {
            Ok(result) => result,
            Err(_) => Err(BlobError::Interrupted),
        }
    }
}
