//! A kept answer.

use bytes::Bytes;
use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::Millis;
use crate::freshness::Freshness;
use crate::vary::Selecting;

/// An answer that is kept. Never changed: a newer one takes its place.
#[derive(Clone, Debug)]
pub struct Stored {
    pub status: StatusCode,
    /// Without fields of one connection.
    pub headers: HeaderMap,
    pub body: Bytes,
    pub(crate) freshness: Freshness,
    pub(crate) selecting: Selecting,
    /// What names it, to be purged by.
    pub(crate) tags: Vec<Box<str>>,
}

impl Stored {
    /// The strong or weak tag that it can be asked for by.
    pub fn etag(&self) -> Option<&HeaderValue> {
        self.headers.get(ETAG)
    }

    /// When it last changed, as it says.
    pub fn last_modified(&self) -> Option<&HeaderValue> {
        self.headers.get(LAST_MODIFIED)
    }

    /// Its age in seconds.
    pub fn age_s(&self, now: Millis) -> u64 {
        self.freshness.age(now) / 1000
    }

    /// For how many seconds it is fresh yet; negative where it is not.
    pub fn ttl_s(&self, now: Millis) -> i64 {
        let signed = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
        signed(self.freshness.lifetime).saturating_sub(signed(self.freshness.age(now))) / 1000
    }

    /// Whether another host may say that it has not changed.
    pub fn can_be_asked_for(&self) -> bool {
        self.etag().is_some() || self.last_modified().is_some()
    }

    /// Whether it may answer although the other host fails.
    pub fn stands_in(&self, now: Millis) -> bool {
        let late = self.freshness.lateness(now);
        !self.freshness.never_stale && self.freshness.on_error.is_some_and(|window| late <= window)
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let fields: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum();
        let tags: usize = self.tags.iter().map(|tag| tag.len() + 16).sum();
        self.body.len() + fields + tags + self.selecting.bytes() + 512
    }
}
