//! Waiting for states.

use std::time::{Duration, Instant};

/// How often a state is looked at, at the beginning and after a while: who has waited long can wait an eighth longer.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOK_EVERY_MAX: Duration = Duration::from_millis(500);
/// How long a state may take to come about. Far more than it takes, for slow machines.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `look` finds what it waits for.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look).await
}

/// Like [`until`], where the time that it takes is part of the promise.
pub async fn until_within<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        let began = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep((began.elapsed() / 8).clamp(LOOK_EVERY, LOOK_EVERY_MAX)).await;
        }
    };
    tokio::time::timeout(limit, looking).await.unwrap_or_else(|_| panic!("not within {limit:?}: {what}"))
}
