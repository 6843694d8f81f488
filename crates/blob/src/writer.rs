//! Storing bytes that come in pieces.

use std::sync::Arc;

use skylift_model::Digest;
use skylift_model::digest::Hasher;

use crate::directory::{BlobError, Directory, Partial};

/// A blob on its way in. Dropped before [`BlobWriter::finish`], it leaves nothing behind.
pub struct BlobWriter {
    store: Arc<Directory>,
    partial: Option<Partial>,
}

impl BlobWriter {
    pub(crate) fn start(store: Arc<Directory>) -> Result<Self, BlobError> {
        let (path, file) = store.create_partial()?;
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

    /// How many bytes were written so far.
    pub fn size(&self) -> u64 {
        self.partial.as_ref().map_or(0, |partial| partial.size)
    }

    /// Names the blob; it is durable when this returns. With `expected`, bytes of another digest are refused.
    pub async fn finish(mut self, expected: Option<Digest>) -> Result<Digest, BlobError> {
        let Some(partial) = self.partial.take() else { return Err(BlobError::Interrupted) };
        let store = self.store.clone();
        let work = tokio::task::spawn_blocking(move || {
            let Partial { path, file, hasher, size } = partial;
            let actual = hasher.finish();
            if let Some(expected) = expected.filter(|expected| *expected != actual) {
                let _ = std::fs::remove_file(&path);
                return Err(BlobError::Mismatch { expected, actual });
            }
            store.finish_partial(path, file, size, actual)?;
            Ok(actual)
        });
        work.await.map_err(|_| BlobError::Interrupted)?
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if let Some(partial) = self.partial.take() {
            let _ = std::fs::remove_file(&partial.path);
        }
    }
}
