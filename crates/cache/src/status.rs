//! `Cache-Status` (RFC 9211): what the cache made of a request.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheStatus {
    /// Answered from what is kept, which is fresh for so many seconds.
    Hit { ttl_s: i64 },
    /// The other host was asked.
    Asked { why: Forwarded, stored: bool, collapsed: bool },
    /// The same, and its status was this; what is kept was sent.
    Confirmed { why: Forwarded, status: u16, ttl_s: i64 },
    /// It has nothing to do with what is kept.
    Bypassed { detail: &'static str },
}

/// Why the other host was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// Nothing is kept for the address.
    UriMiss,
    /// Nothing that fits the request.
    VaryMiss,
    Stale,
    /// The request wanted it.
    Request,
    /// Only a part was wanted.
    Partial,
}

impl Forwarded {
    const fn as_str(self) -> &'static str {
        match self {
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
            Self::Request => "request",
            Self::Partial => "partial",
        }
    }
}

impl CacheStatus {
    /// One word, for logs and counts.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Hit { ttl_s } if *ttl_s <= 0 => "stale",
            Self::Hit { .. } => "hit",
            Self::Asked { collapsed: true, .. } => "collapsed",
            Self::Asked { .. } => "miss",
            Self::Confirmed { .. } => "confirmed",
            Self::Bypassed { .. } => "bypass",
        }
    }

    /// Adds it to an answer, behind what caches before this one said.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let mut text = "skylift".to_owned();
        // Writing to a text cannot fail.
        let _ = match self {
            Self::Hit { ttl_s } => write!(text, "; hit; ttl={ttl_s}"),
            Self::Asked { why, stored, collapsed } => {
                let stored = if *stored { "; stored" } else { "" };
                let collapsed = if *collapsed { "; collapsed" } else { "" };
                write!(text, "; fwd={}{stored}{collapsed}", why.as_str())
            }
            Self::Confirmed { why, status, ttl_s } => {
                write!(text, "; hit; ttl={ttl_s}; fwd={}; fwd-status={status}", why.as_str())
            }
            Self::Bypassed { detail } => write!(text, "; fwd=bypass; detail={detail}"),
        };
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(CACHE_STATUS, value);
        }
    }
}
