//! The bytes of files, by digest, never any others.
//!
//! Small files are checked when they are read and then stay in memory, up to a budget. Large ones are streamed from
//! disk; they are checked in full before the first byte of them is sent, and again whenever the file on disk was
//! touched since.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use skylift_blob::{BlobError, Blobs};
use skylift_model::Digest;
use skylift_model::digest::Hasher;
use tokio::sync::Semaphore;

use crate::body::EdgeBody;
use crate::metrics::{Gauges, Metrics};
use crate::stream::FileStream;

/// Files up to this size go through memory.
pub(crate) const SMALL_BYTES_MAX: u64 = 256 << 10;
/// How many large files are remembered as checked.
const CHECKED_MAX: usize = 1024;
/// How many large files are checked at once: it takes a core each.
const CHECKS_AT_ONCE: usize = 2;

/// Why a file's bytes cannot be sent; all of them are 502.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    #[error("read blob {0}")]
    Read(Digest, #[source] BlobError),
    #[error("blob {0} is not stored")]
    Missing(Digest),
    #[error("blob {0} does not have the bytes its name promises")]
    Corrupt(Digest),
    #[error("blob {digest} has {actual} bytes, the manifest says {expected}")]
    Size { digest: Digest, expected: u64, actual: u64 },
    #[error("check blob {0}")]
    Check(Digest, #[source] io::Error),
}

/// A piece of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) digest: Digest,
    /// The length of the whole file.
    pub(crate) size: u64,
    pub(crate) first: u64,
    pub(crate) length: u64,
}

/// Reads files, and keeps what is small and wanted often.
pub(crate) struct Content {
    blobs: Blobs,
    small: Cache<Digest, Bytes, ByLength>,
    checked: Cache<Digest, Stamp>,
    checks: Semaphore,
    metrics: Metrics,
}

/// What changes when somebody writes to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

#[derive(Clone)]
struct ByLength;

impl Weighter<Digest, Bytes> for ByLength {
    fn weight(&self, _: &Digest, bytes: &Bytes) -> u64 {
        // An empty file still takes a place.
        bytes.len() as u64 + 64
    }
}

impl Content {
    pub(crate) fn new(blobs: Blobs, cache_bytes: u64, metrics: Metrics) -> Self {
        let items = usize::try_from(cache_bytes / 8192).unwrap_or(usize::MAX).clamp(64, 65_536);
        Self {
            blobs,
            small: Cache::with_weighter(items, cache_bytes, ByLength),
            checked: Cache::new(CHECKED_MAX),
            checks: Semaphore::new(CHECKS_AT_ONCE),
            metrics,
        }
    }

    /// The bytes of a piece, ready to send.
    pub(crate) async fn open(&self, piece: Piece) -> Result<EdgeBody, ContentError> {
        if piece.size <= SMALL_BYTES_MAX {
            let bytes = self.small.get_or_insert_async(&piece.digest, self.read_small(&piece)).await?;
            return Ok(cut(&bytes, &piece).into());
        }
        let file = self.open_large(&piece).await?;
        Ok(EdgeBody::file(FileStream::new(file, piece.first, piece.length)))
    }

    async fn read_small(&self, piece: &Piece) -> Result<Bytes, ContentError> {
        let gauges = self.metrics.gauges();
        Gauges::add(&gauges.file_reads_total, 1);
        Gauges::set(&gauges.cached_bytes, self.small.weight());
        let digest = piece.digest;
        let bytes = match self.blobs.get(&digest, SMALL_BYTES_MAX).await {
            Ok(bytes) => bytes.ok_or(ContentError::Missing(digest))?,
            Err(BlobError::Corrupt(_)) => return Err(ContentError::Corrupt(digest)),
            Err(BlobError::TooLarge { size, .. }) => {
                return Err(ContentError::Size { digest, expected: piece.size, actual: size });
            }
            Err(error) => return Err(ContentError::Read(digest, error)),
        };
        check_size(piece, bytes.len() as u64)?;
        Ok(bytes.into())
    }

    async fn open_large(&self, piece: &Piece) -> Result<Arc<File>, ContentError> {
        let digest = piece.digest;
        let stored = self.blobs.open_file(&digest).await.map_err(|error| ContentError::Read(digest, error))?;
        let stored = stored.ok_or(ContentError::Missing(digest))?;
        check_size(piece, stored.size)?;
        let file = Arc::new(stored.file);
        let stamp = Stamp::of(&file).map_err(|error| ContentError::Check(digest, error))?;
        self.checked.remove_if(&digest, |checked| *checked != stamp);
        let checked = self.checked.get_or_insert_async(&digest, self.check(digest, stamp, file.clone())).await?;
        if checked != stamp {
            // Somebody else checked it after it was touched once more; what is open here is older.
            self.check(digest, stamp, file.clone()).await?;
        }
        Ok(file)
    }

    /// Reads all of a file; fine if its digest is the one in its name.
    async fn check(&self, digest: Digest, stamp: Stamp, file: Arc<File>) -> Result<Stamp, ContentError> {
        let _one_of_few = self.checks.acquire().await;
        let work = tokio::task::spawn_blocking(move || digest_of(&file, stamp.size));
        let actual = work.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let actual = actual.map_err(|error| ContentError::Check(digest, error))?;
        if actual == digest { Ok(stamp) } else { Err(ContentError::Corrupt(digest)) }
    }
}

fn cut(bytes: &Bytes, piece: &Piece) -> Bytes {
    let end = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let first = end(piece.first);
    bytes.slice(first..end(piece.first.saturating_add(piece.length)).max(first))
}

fn check_size(piece: &Piece, actual: u64) -> Result<(), ContentError> {
    if actual == piece.size {
        return Ok(());
    }
    Err(ContentError::Size { digest: piece.digest, expected: piece.size, actual })
}

fn digest_of(file: &File, size: u64) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    while at < size {
        let read = file.read_at(&mut buffer, at)?;
        let bytes = buffer.get(..read).filter(|bytes| !bytes.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
        hasher.update(bytes);
        at += read as u64;
    }
    Ok(hasher.finish())
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            changed: (meta.ctime(), meta.ctime_nsec()),
            modified: (meta.mtime(), meta.mtime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    use http_body::Body;

    async fn read(content: &Content, bytes: &[u8]) -> Result<Vec<u8>, ContentError> {
        let size = bytes.len() as u64;
        let body = content.open(Piece { digest: Digest::of(bytes), size, first: 0, length: size }).await?;
        let mut body = std::pin::pin!(body);
        let mut read = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            read.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        Ok(read)
    }

    /// A store with one blob whose first byte was changed behind its back.
    async fn damaged(bytes: &[u8]) -> (tempfile::TempDir, Content, File) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let name = blobs.put(bytes.to_vec()).await.unwrap().to_string();
        let path = folder.path().join("sha256").join(&name[..2]).join(&name);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        file.write_at(b"!", 0).unwrap();
        (folder, Content::new(blobs, 1 << 20, Metrics::default()), file)
    }

    #[tokio::test]
    async fn without_its_checks_it_would_serve_damaged_bytes() {
        for bytes in [vec![b'x'; 1000], vec![b'x'; 300_000]] {
            let (_folder, content, file) = damaged(&bytes).await;
            assert!(matches!(read(&content, &bytes).await, Err(ContentError::Corrupt(_))));

            // The same reading, told that somebody had checked.
            let digest = Digest::of(&bytes);
            let mut unchecked = bytes.clone();
            unchecked[0] = b'!';
            content.checked.insert(digest, Stamp::of(&file).unwrap());
            content.small.insert(digest, unchecked.clone().into());
            assert!(read(&content, &bytes).await.unwrap() == unchecked);
        }
    }

    #[tokio::test]
    async fn what_is_kept_in_memory_stays_within_the_budget() {
        let folder = tempfile::tempdir().unwrap();
        let content = Content::new(Blobs::open(folder.path()).unwrap(), 1 << 20, Metrics::default());
        for number in 0..200_u8 {
            let bytes = vec![number; 20_000];
            content.blobs.put(bytes.clone()).await.unwrap();
            assert!(read(&content, &bytes).await.unwrap() == bytes);
            assert!(content.small.weight() <= 1 << 20);
        }
    }

    #[tokio::test]
    async fn many_asking_at_once_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::default();
        let content = Arc::new(Content::new(Blobs::open(folder.path()).unwrap(), 1 << 20, metrics.clone()));
        content.blobs.put(b"wanted".to_vec()).await.unwrap();
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let content = content.clone();
            asking.spawn(async move { read(&content, b"wanted").await.unwrap() });
        }
        assert!(asking.join_all().await.iter().all(|read| read == b"wanted"));
        assert_eq!(metrics.gauges().file_reads_total.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
