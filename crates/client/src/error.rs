//! What can go wrong between a client and a server, in plain words.

use std::io;
use std::path::PathBuf;

use skylift_model::wire::{Code, ErrorBody};

/// Why a request had no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server answered with an error. The body says what to do next.
    #[error("{}", .body.message)]
    Api { status: u16, body: ErrorBody },
    /// No connection, or it broke and could not be taken up again.
    #[error("no Skylift server answers at {url}")]
    Unreachable {
        url: String,
        #[source]
        source: BoxError,
    },
    /// Somebody answers, but cannot be shown to be who they say they are.
    #[error("{url} answers, but its certificate is not trusted")]
    Untrusted {
        url: String,
        #[source]
        source: BoxError,
    },
    /// Somebody answers, but no secure connection comes about.
    #[error("{url} answers, but not with TLS as this client speaks it")]
    NoTls {
        url: String,
        #[source]
        source: BoxError,
    },
    /// The server did not answer in time.
    #[error("the server at {url} did not answer within {seconds} s")]
    TimedOut { url: String, seconds: u64 },
    /// Something answered, but not as a Skylift server of this version would.
    #[error("{url} answered something that is not of Skylift's API: {what}")]
    Protocol { url: String, what: String },
    /// The machine's root certificates could not be read.
    #[error("read this machine's root certificates")]
    RootCertificates(#[source] io::Error),
    /// A token that cannot stand in a header.
    #[error("the token has characters that no token has; was the whole file or line copied?")]
    InvalidToken,
    /// A file that was to be sent could not be read.
    #[error("read {path}")]
    ReadFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file is not what it was when it was hashed.
    #[error("{path} changed while it was being sent")]
    FileChanged { path: PathBuf },
}

/// Any error, boxed: the one below an [`ClientError::Unreachable`].
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl ClientError {
    /// The error code of the server's answer, where it answered with one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Api { body, .. } => Some(body.code),
            _ => None,
        }
    }

    /// Whether the server said that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(Code::NotFound)
    }

    /// Whether the same request may succeed later without anything being changed.
    pub fn is_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }
}
