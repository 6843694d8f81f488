//! Why bytes could not be stored or read.

use std::io;
use std::path::{Path, PathBuf};

use skylift_model::Digest;

/// Why bytes could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("{step} {path}")]
    Io {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("blob {0} does not have the bytes its name promises")]
    Corrupt(Digest),
    #[error("blob {0} is not stored")]
    Missing(Digest),
    #[error("blob {digest} has {size} bytes; at most {bytes_max} are taken here")]
    TooLarge { digest: Digest, size: u64, bytes_max: u64 },
    #[error("the bytes are those of {actual}, not of {expected}")]
    Mismatch { expected: Digest, actual: Digest },
    /// Trying again later may help.
    #[error("the object store does not answer: {step}: {why}")]
    Unavailable { step: String, why: String },
    /// Trying again at once does not help: credentials, the bucket or its rights are not as they must be, or it does not take what
    /// is sent.
    #[error("the object store refuses {step}: {status} {code}")]
    Refused { step: String, status: u16, code: String },
    #[error("{0}")]
    Settings(String),
    #[error("the process is shutting down")]
    Interrupted,
}

impl BlobError {
    /// Whether the disk is full, so that the caller can say so.
    pub fn is_out_of_space(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// Whether the store cannot be used at the moment: it does not answer, or lets us do nothing until somebody mends that.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Refused { status, code, .. } => is_of_who_asks(*status, code),
            _ => false,
        }
    }
}

/// Whether a refusal is about who asks, and when, and the bucket: not about what is asked for. Keys are changed, rights taken away
/// and given back, clocks go wrong, all while we run.
fn is_of_who_asks(status: u16, code: &str) -> bool {
    let codes = ["ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestTimeTooSkewed", "NoSuchBucket"];
    matches!(status, 401 | 403) || codes.contains(&code)
}

/// Says which step failed on which file.
pub(crate) fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BlobError {
    move |source| BlobError::Io { step, path: path.to_owned(), source }
}
