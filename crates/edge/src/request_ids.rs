//! Request ids: made here for every request, never taken from one.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use skylift_model::{RequestId, Timestamp};

/// Makes ids that cannot be guessed from each other: a counter under a keyed hash with a key of this process.
#[derive(Default)]
pub(crate) struct RequestIds {
    key: RandomState,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn next(&self) -> RequestId {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        RequestId::new(now, self.key.hash_one(self.next.fetch_add(1, Ordering::Relaxed)))
    }
}
