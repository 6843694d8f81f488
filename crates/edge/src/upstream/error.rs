//! Why a request could not be passed on.

use std::io;

use skylift_egress::DialError;

use super::target::InvalidTarget;

/// Why there is no answer of the other host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("the rule leads to no address that a request could be passed on to")]
    Target(#[from] InvalidTarget),
    #[error("the address leads back to this platform")]
    Loop,
    #[error("the request was passed on before")]
    Hop,
    #[error("every connection to other hosts is in use")]
    Busy,
    #[error("the other host cannot be reached")]
    Dial(#[source] DialError),
    #[error("trust nobody's certificates")]
    Roots(#[source] io::Error),
    #[error("the other host did not prove who it is")]
    Tls(#[source] io::Error),
    #[error("the other host did not answer as it should")]
    Exchange(#[source] hyper::Error),
    #[error("the other host closed the connection instead of answering")]
    Stale,
    #[error("the other host wants to speak another protocol than it was asked for")]
    Switched,
    #[error("the other host took too long")]
    Timeout,
    #[error("the body of the request is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the process is shutting down")]
    Interrupted,
}

impl UpstreamError {
    /// One word, for counts.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Target(_) | Self::Dial(DialError::Refused(_) | DialError::Spelling { .. }) => "refused",
            Self::Loop | Self::Hop => "loop",
            Self::Busy => "busy",
            Self::Dial(DialError::Timeout { .. }) | Self::Timeout => "timeout",
            Self::TooLarge(_) => "too_large",
            Self::Dial(_) | Self::Roots(_) | Self::Tls(_) | Self::Interrupted => "unreachable",
            Self::Exchange(_) | Self::Stale | Self::Switched => "failed",
        }
    }
}
