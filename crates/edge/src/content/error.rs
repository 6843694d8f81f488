//! Why a file's bytes cannot be sent, and whether that may pass by itself.

use skylift_blob::BlobError;
use skylift_model::Digest;

/// Why a file's bytes cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    #[error("read blob {0}")]
    Read(Digest, #[source] BlobError),
    #[error("blob {0} was not there in time")]
    Late(Digest),
    #[error("blob {0} is not stored")]
    Missing(Digest),
    #[error("blob {0} does not have the bytes its name promises")]
    Corrupt(Digest),
    #[error("blob {digest} has {actual} bytes, the manifest says {expected}")]
    Size { digest: Digest, expected: u64, actual: u64 },
}

impl ContentError {
    /// Whether the bytes are only out of reach.
    pub(crate) fn outage(&self) -> Option<Outage> {
        match self {
            Self::Late(_) => Some(Outage::Late),
            Self::Read(_, error) => Outage::of(error),
            Self::Missing(_) | Self::Corrupt(_) | Self::Size { .. } => None,
        }
    }
}

/// Bytes that are fine, but out of reach at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// Where they are, nobody answers.
    Away,
    /// They did not come in time.
    Late,
}

impl Outage {
    pub(crate) fn of(error: &BlobError) -> Option<Self> {
        error.is_unavailable().then_some(Self::Away)
    }
}
