//! What is to be read again, and when what failed is tried again.

use std::collections::BTreeSet;
use std::time::Duration;

use skylift_model::AppName;
use tokio::time::{Instant, sleep_until};

/// How soon what failed is tried again, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LAST: Duration = Duration::from_secs(30);

/// What is to be read again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Due {
    pub(super) all: bool,
    pub(super) apps: BTreeSet<AppName>,
}

/// When what failed is tried again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retry {
    pub(super) at: Option<Instant>,
    delay: Duration,
}

impl Due {
    pub(super) fn is_empty(&self) -> bool {
        !self.all && self.apps.is_empty()
    }
}

impl Retry {
    /// Something is to be tried at this moment.
    pub(super) fn at_once() -> Self {
        Self { at: Some(Instant::now()), delay: Duration::ZERO }
    }

    pub(super) fn note(&mut self, failed: bool) {
        self.delay = if failed { (self.delay * 2).clamp(RETRY_FIRST, RETRY_LAST) } else { Duration::ZERO };
        self.at = failed.then(|| Instant::now() + self.delay);
    }
}

/// Waits until then; for ever where there is no such moment.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
