//! Storing bytes that come in pieces.

use std::fs::File;
use std::io::Read;

use skylift_model::Digest;
use skylift_model::digest::Hasher;

use crate::Blobs;
use crate::directory::Partial;
use crate::error::BlobError;

/// How much of a file is read at once.
const PIECE_BYTES: usize = 256 << 10;

/// A blob on its way in. Dropped before [`BlobWriter::finish`], it leaves nothing behind.
pub struct BlobWriter {
    store: Blobs,
    partial: Option<Partial>,
}

impl BlobWriter {
    pub(crate) fn start(store: Blobs) -> Result<Self, BlobError> {
        let (path, file) = store.folder().create_partial()?;
        Ok(Self { store, partial: Some(Partial { path, file, hasher: Hasher::new(), size: 0 }) })
    }

    /// Adds bytes.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<(), BlobError> {
        let Some(mut partial) = self.partial.take() else { return Err(BlobError::Interrupted) };
        let work = tokio::task::spawn_blocking(move || {
            let result = partial.write(bytes.as_ref());
            (partial, result)
        });
        let (partial, result) = work.await.map_err(|_| BlobError::Interrupted)?;
        self.partial = Some(partial);
        result
    }

    /// Adds what is left of a file.
    pub async fn copy(&mut self, mut file: File) -> Result<(), BlobError> {
        let Some(mut partial) = self.partial.take() else { return Err(BlobError::Interrupted) };
        let work = tokio::task::spawn_blocking(move || {
            let result = append(&mut partial, &mut file);
            (partial, result)
        });
        let (partial, result) = work.await.map_err(|_| BlobError::Interrupted)?;
        self.partial = Some(partial);
        result
    }

    /// How many bytes were written so far.
    pub fn size(&self) -> u64 {
        self.partial.as_ref().map_or(0, |partial| partial.size)
    }

    /// Names the blob; it is durable when this returns. With `expected`, bytes of another digest are refused.
    pub async fn finish(mut self, expected: Option<Digest>) -> Result<Digest, BlobError> {
        let Some(partial) = &mut self.partial else { return Err(BlobError::Interrupted) };
        let actual = std::mem::replace(&mut partial.hasher, Hasher::new()).finish();
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            return Err(BlobError::Mismatch { expected, actual });
        }
        let Some(partial) = self.partial.take() else { return Err(BlobError::Interrupted) };
        let path = partial.path.clone();
        let stored = self.store.finish(partial, actual).await;
        if stored.is_err() {
            let _ = std::fs::remove_file(&path);
        }
        stored.map(|()| actual)
    }
}

fn append(partial: &mut Partial, file: &mut File) -> Result<(), BlobError> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = file.read(&mut piece);
        let length =
            read.map_err(|source| BlobError::Io { step: "read what becomes", path: partial.path.clone(), source })?;
        if length == 0 {
            return Ok(());
        }
        partial.write(piece.get(..length).unwrap_or_default())?;
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if let Some(partial) = self.partial.take() {
            let _ = std::fs::remove_file(&partial.path);
        }
    }
}
