//! The system's clock: the one place that reads it.

use std::time::SystemTime;

use skylift_model::{Clock, Timestamp};

/// The system's clock.
pub(crate) fn system() -> Clock {
    Clock::new(|| {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    })
}
