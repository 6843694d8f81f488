//! Waiting for states.

use std::time::Duration;

/// How often a state is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a state may take to come about. Far more than it takes, for slow machines.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `look` finds what it waits for.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look).await
}

/// Like [`until`], where the time that it takes is part of the promise.
pub async fn until_within<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(limit, looking).await.unwrap_or_else(|_| panic!("not within {limit:?}: {what}"))
}
