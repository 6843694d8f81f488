//! How many bytes of answers are in memory: kept ones, those that come, and those that were dropped but are still being sent to
//! somebody slow. Beyond a limit nothing more is kept while it comes, so that slow clients cannot make memory grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// Counts bytes up to a limit.
#[derive(Clone, Debug)]
pub(crate) struct Held(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    bytes: AtomicU64,
    most: u64,
}

/// Some of the bytes; they count until it is dropped.
#[derive(Debug)]
pub(crate) struct Holding {
    held: Held,
    bytes: u64,
}

/// Bytes that count for as long as anybody has them.
struct Owned {
    bytes: Bytes,
    _holding: Holding,
}

impl Held {
    pub(crate) fn new(most: u64) -> Self {
        Self(Arc::new(Counted { bytes: AtomicU64::new(0), most }))
    }

    /// None yet.
    pub(crate) fn begin(&self) -> Holding {
        Holding { held: self.clone(), bytes: 0 }
    }
}

impl Holding {
    /// Counts more; whether there was room for it.
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        let before = self.held.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        before + bytes <= self.held.0.most
    }

    /// Has bytes count that are made of what is held.
    pub(crate) fn hold(mut self, bytes: Bytes) -> Bytes {
        let more = (bytes.len() as u64).saturating_sub(self.bytes);
        self.grow(more);
        Bytes::from_owner(Owned { bytes, _holding: self })
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.held.0.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_until_the_last_who_has_them_lets_go() {
        let held = Held::new(10);
        let mut one = held.begin();
        assert!(one.grow(6));
        let kept = one.hold(Bytes::from_static(b"sixsix"));
        let sent = kept.slice(1..2);
        drop(kept);
        let mut two = held.begin();
        assert!(!two.grow(5), "somebody is still being sent a part of them");
        drop((sent, two));
        assert!(held.begin().grow(10));
        assert_eq!(held.0.bytes.load(Ordering::Relaxed), 0);
    }
}
