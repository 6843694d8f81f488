//! The bytes of files, by digest, never any others.
//!
//! Small files are checked when they are read and then stay in memory, up to a budget. Large ones are sent from
//! disk; the blob store checks them in full before it opens them, and again whenever the file on disk was touched.
//! Those sent last stay open.

mod error;
mod stamp;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use skylift_blob::{BlobError, Blobs};
use skylift_model::Digest;
use tokio::time::timeout;

use crate::body::EdgeBody;
use crate::metrics::{Gauges, Metrics};
use crate::stream::FileStream;

pub(crate) use error::{ContentError, Outage};
use stamp::Stamp;

/// Files up to this size go through memory.
pub(crate) const SMALL_BYTES_MAX: u64 = 256 << 10;

/// From this size on it costs less to have the kernel send a file than to copy it out of our memory. Not larger than
/// what goes through memory.
const SENDFILE_BYTES_MIN: u64 = 32 << 10;
/// How many files stay open.
const OPEN_MAX: usize = 256;

/// How long a small file, and a large one, may take to be fetched from where files are kept. What takes longer goes on
/// being fetched; the next request may find it.
const SMALL_WITHIN: Duration = Duration::from_secs(10);
const LARGE_WITHIN: Duration = Duration::from_secs(30);

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) digest: Digest,
    /// The length of the whole file.
    pub(crate) size: u64,
    pub(crate) first: u64,
    pub(crate) length: u64,
}

/// A file, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) enum Opened {
    /// All of its bytes.
    Memory(Bytes),
    /// Where they are; checked.
    File(Arc<File>),
}

/// How a file is best sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// From memory, where it stays as long as it is wanted often.
    Memory,
    /// From the kernel's own memory, as an open file.
    File,
}

impl By {
    /// For all of a file with so many bytes, over plain HTTP/1.1.
    pub(crate) fn size(bytes: u64) -> Self {
        if bytes < SENDFILE_BYTES_MIN { Self::Memory } else { Self::File }
    }
}

/// Reads files, and keeps what is small and wanted often.
pub(crate) struct Content {
    blobs: Blobs,
    small: Cache<Digest, Bytes, ByLength>,
    open: Cache<Digest, Open>,
    metrics: Metrics,
}

/// An open file whose bytes were as its name says when it looked like this.
#[derive(Clone, Debug)]
struct Open {
    stamp: Stamp,
    file: Arc<File>,
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
        Self { blobs, small: Cache::with_weighter(items, cache_bytes, ByLength), open: Cache::new(OPEN_MAX), metrics }
    }

    /// The bytes of a piece, ready to send.
    pub(crate) async fn open(&self, piece: Piece) -> Result<EdgeBody, ContentError> {
        if piece.size <= SMALL_BYTES_MAX {
            let bytes = self.small.get_or_insert_async(&piece.digest, self.read_small(&piece)).await?;
            return Ok(cut(&bytes, &piece).into());
        }
        let file = self.open_file(&piece).await?;
        Ok(EdgeBody::file(FileStream::new(file, piece.first, piece.length)))
    }

    /// The bytes of a piece, if that takes no waiting.
    pub(crate) fn open_now(&self, piece: &Piece) -> Option<EdgeBody> {
        let small = piece.size <= SMALL_BYTES_MAX;
        small.then(|| self.small.get(&piece.digest)).flatten().map(|bytes| cut(&bytes, piece).into())
    }

    /// All of a file, if that takes no waiting. `by`: how files of this size are best sent.
    pub(crate) fn at_hand(&self, whole: &Piece, by: By) -> Option<Opened> {
        if by == By::Memory {
            return self.small.get(&whole.digest).map(Opened::Memory);
        }
        let Open { stamp, file } = self.open.get(&whole.digest)?;
        let unchanged = stamp.size == whole.size && Stamp::of(&file).is_ok_and(|now| now == stamp);
        unchanged.then_some(Opened::File(file))
    }

    /// All of a file.
    pub(crate) async fn fetch(&self, whole: &Piece, by: By) -> Result<Opened, ContentError> {
        match by {
            By::Memory => {
                self.small.get_or_insert_async(&whole.digest, self.read_small(whole)).await.map(Opened::Memory)
            }
            By::File => self.open_to_stay(whole).await.map(Opened::File),
        }
    }

    async fn read_small(&self, piece: &Piece) -> Result<Bytes, ContentError> {
        let gauges = self.metrics.gauges();
        Gauges::add(&gauges.file_reads_total, 1);
        Gauges::set(&gauges.cached_bytes, self.small.weight());
        let digest = piece.digest;
        let Ok(read) = timeout(SMALL_WITHIN, self.blobs.get(&digest, SMALL_BYTES_MAX)).await else {
            return Err(ContentError::Late(digest));
        };
        let bytes = match read {
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

    /// Opens a file and keeps it open.
    async fn open_to_stay(&self, piece: &Piece) -> Result<Arc<File>, ContentError> {
        // Twice: the second time tells that the file was still the one that was checked when its stamp was taken.
        let first = self.open_file(piece).await?;
        let before = Stamp::of(&first);
        let file = self.open_file(piece).await?;
        if let (Ok(before), Ok(stamp)) = (before, Stamp::of(&file))
            && before == stamp
        {
            self.open.insert(piece.digest, Open { stamp, file: file.clone() });
        }
        Ok(file)
    }

    async fn open_file(&self, piece: &Piece) -> Result<Arc<File>, ContentError> {
        let digest = piece.digest;
        let Ok(opened) = timeout(LARGE_WITHIN, self.blobs.open_file(&digest)).await else {
            return Err(ContentError::Late(digest));
        };
        let stored = match opened {
            Ok(stored) => stored.ok_or(ContentError::Missing(digest))?,
            Err(BlobError::Corrupt(_)) => return Err(ContentError::Corrupt(digest)),
            Err(error) => return Err(ContentError::Read(digest, error)),
        };
        check_size(piece, stored.size)?;
        Ok(Arc::new(stored.file))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, PermissionsExt};

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
    async fn damaged(bytes: &[u8]) -> (tempfile::TempDir, Content) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let name = blobs.put(bytes.to_vec()).await.unwrap().to_string();
        let path = folder.path().join("sha256").join(&name[..2]).join(&name);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        file.write_at(b"!", 0).unwrap();
        (folder, Content::new(blobs, 1 << 20, Metrics::default()))
    }

    #[tokio::test]
    async fn damaged_bytes_are_refused_and_the_damage_is_real() {
        for bytes in [vec![b'x'; 1000], vec![b'x'; 300_000]] {
            let (folder, content) = damaged(&bytes).await;
            assert!(matches!(read(&content, &bytes).await, Err(ContentError::Corrupt(_))));
            let name = Digest::of(&bytes).to_string();
            let unchecked = std::fs::read(folder.path().join("sha256").join(&name[..2]).join(&name)).unwrap();
            assert!(unchecked.starts_with(b"!x") && unchecked.len() == bytes.len());
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
