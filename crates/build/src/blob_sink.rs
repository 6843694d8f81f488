//! Where received files go: into the blob store, small ones many at a time.

use std::io;

use skylift_blob::{BlobError, BlobWriter, Blobs};
use skylift_model::Digest;

use crate::frames::Sink;

/// How many bytes of small files are gathered before they are stored with one wait for the disk.
const GATHER_BYTES: usize = 8 << 20;
const GATHER_FILES: usize = 1024;

/// Stores what a sandbox sends. Call [`BlobSink::flush`] before anything names the blobs.
pub(crate) struct BlobSink {
    blobs: Blobs,
    gathered: Vec<Vec<u8>>,
    bytes: usize,
    writer: Option<BlobWriter>,
}

impl BlobSink {
    /// A sink that stores into `blobs`.
    pub(crate) fn new(blobs: Blobs) -> Self {
        Self { blobs, gathered: Vec::new(), bytes: 0, writer: None }
    }

    /// Stores what was gathered; everything received is durable when this returns.
    pub(crate) async fn flush(&mut self) -> Result<(), BlobError> {
        self.bytes = 0;
        let gathered = std::mem::take(&mut self.gathered);
        if !gathered.is_empty() {
            self.blobs.put_all(gathered).await?;
        }
        Ok(())
    }
}

/// What a write is told by that found no object store.
const AWAY: io::ErrorKind = io::ErrorKind::HostUnreachable;

/// Whether something failed because the object store is away.
pub(crate) fn is_away(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let by_kind = error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == AWAY);
        if by_kind || error.downcast_ref::<BlobError>().is_some_and(BlobError::is_unavailable) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn other(error: BlobError) -> io::Error {
    let kind = match &error {
        full if full.is_out_of_space() => io::ErrorKind::StorageFull,
        away if away.is_unavailable() => AWAY,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Sink for BlobSink {
    async fn small(&mut self, _: Digest, bytes: Vec<u8>) -> io::Result<()> {
        self.bytes += bytes.len();
        self.gathered.push(bytes);
        if self.bytes >= GATHER_BYTES || self.gathered.len() >= GATHER_FILES {
            self.flush().await.map_err(other)?;
        }
        Ok(())
    }

    async fn begin(&mut self, _: u64) -> io::Result<()> {
        self.writer = Some(self.blobs.writer().await.map_err(other)?);
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.writer {
            Some(writer) => writer.write(bytes.to_vec()).await.map_err(other),
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    async fn finish(&mut self, digest: Digest) -> io::Result<()> {
        match self.writer.take() {
            Some(writer) => writer.finish(Some(digest)).await.map(|_| ()).map_err(other),
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}
