//! One request with a key at a time, within this process. That a key has one effect does not rest on it (the store's
//! transaction sees to that); it lets the others wait for the answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skylift_model::TokenId;
use tokio::sync::OwnedMutexGuard;

type Name = (TokenId, String);
type Lock = Arc<tokio::sync::Mutex<()>>;

/// The keys of requests on their way.
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<HashMap<Name, Lock>>>);

/// The right to be worked on; given back when it is dropped.
pub(super) struct Turn {
    all: InFlight,
    name: Name,
    held: Option<OwnedMutexGuard<()>>,
}

impl InFlight {
    /// Waits until no other request with that key is on its way; `None` after `patience`.
    pub(super) async fn turn(&self, name: Name, patience: Duration) -> Option<Turn> {
        let lock = Arc::clone(self.locks().entry(name.clone()).or_default());
        let mut turn = Turn { all: self.clone(), name, held: None };
        turn.held = Some(tokio::time::timeout(patience, lock.lock_owned()).await.ok()?);
        Some(turn)
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<Name, Lock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut locks = self.all.locks();
        self.held = None;
        // Whoever waits holds the lock too: the last one takes it out of the map.
        if locks.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;

    use super::*;

    fn name(key: &str) -> Name {
        (TokenId::new(Timestamp::from_millis(0), 0), key.to_owned())
    }

    #[tokio::test]
    async fn one_key_has_one_turn_at_a_time_and_leaves_nothing_behind() {
        let all = InFlight::default();
        let first = all.turn(name("a"), Duration::ZERO).await.unwrap();
        assert!(all.turn(name("b"), Duration::ZERO).await.is_some(), "another key does not wait");
        assert!(all.turn(name("a"), Duration::ZERO).await.is_none(), "patience ends");
        let waiting = tokio::spawn({
            let all = all.clone();
            async move { all.turn(name("a"), Duration::from_secs(60)).await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(all.locks().is_empty());
    }
}
