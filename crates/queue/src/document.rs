//! What is to be run and what came of it, as JSON: in the row, or in the blob store where it is large.

use serde_json::Error;
use skylift_blob::Blobs;
use skylift_model::Digest;
use skylift_store::Document;

use crate::QueueError;

/// What may ride in a row.
const INLINE_BYTES_MAX: usize = 64 << 10;
/// The largest that anybody made: all output of all inputs, and files, in base 64.
const BYTES_MAX: u64 = 2 << 30;

/// A document and its digest.
pub(crate) async fn of<T: serde::Serialize>(
    blobs: &Blobs,
    value: &T,
    what: &'static str,
) -> Result<(Document, Digest), QueueError> {
    let text = serde_json::to_string(value).map_err(|error| broken(what, &error))?;
    if text.len() > INLINE_BYTES_MAX {
        let digest = blobs.put(text.into_bytes()).await?;
        return Ok((Document::Blob(digest), digest));
    }
    let digest = Digest::of(text.as_bytes());
    Ok((Document::Inline(text), digest))
}

pub(crate) async fn read<T: serde::de::DeserializeOwned>(
    blobs: &Blobs,
    document: &Document,
    what: &'static str,
) -> Result<T, QueueError> {
    let value = match document {
        Document::Inline(text) => serde_json::from_str(text),
        Document::Blob(digest) => {
            let bytes = blobs.get(digest, BYTES_MAX).await?.ok_or(QueueError::Document(what))?;
            serde_json::from_slice(&bytes)
        }
    };
    value.map_err(|error| broken(what, &error))
}

fn broken(what: &'static str, error: &Error) -> QueueError {
    tracing::error!(%error, what, "a document of a run is not as it should be");
    QueueError::Document(what)
}
