//! What runs of each key came to, on its way into rows: written once a second, all of it together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skylift_model::wire::RunsUsed;
use skylift_model::{Clock, Timestamp, TokenId, chain};
use skylift_store::{Store, StoreError, day_of};
use tokio::sync::{Notify, watch};

/// For how long what was used is gathered before it is written: who is busy has no time for a commit after every run.
const GATHER: Duration = Duration::from_secs(1);

/// What runs of each key came to and is not in the rows yet. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Usage(Arc<Ledger>);

struct Ledger {
    store: Store,
    clock: Clock,
    pending: Mutex<HashMap<(TokenId, Timestamp), RunsUsed>>,
    wake: Notify,
}

impl Usage {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self(Arc::new(Ledger { store, clock, pending: Mutex::default(), wake: Notify::new() }))
    }

    /// Notes what some runs of a key came to.
    pub fn add(&self, key: &TokenId, used: RunsUsed) {
        self.0.add((key.clone(), day_of(self.0.clock.now())), used);
        self.0.wake.notify_one();
    }

    /// The time, as days are told apart by.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Whether a key's processor time of today is used up, with what is noted. Where that is not to be learned, what was let in goes on.
    pub async fn is_used_up(&self, key: &TokenId) -> bool {
        let now = self.now();
        let noted_us = self.0.noted_us(&(key.clone(), day_of(now)));
        let used_up = self.0.store.quota_used_up(key.clone(), noted_us, now).await;
        used_up.unwrap_or_else(|error| {
            tracing::warn!(error = chain(&error), "what a key has used cannot be read; its runs go on");
            false
        })
    }

    /// Writes what is noted at once: for whoever is about to look at it.
    pub(crate) async fn write(&self) {
        if let Err(error) = self.0.write().await {
            tracing::warn!(error = chain(&error), "what runs came to is not in the rows yet");
        }
    }

    /// Writes what is noted, until told to stop; then what is left.
    pub async fn keep(self, mut stop: watch::Receiver<bool>) {
        let mut is_away = false;
        loop {
            let more = async {
                if !is_away {
                    self.0.wake.notified().await;
                }
                tokio::time::sleep(GATHER).await;
            };
            let is_over = tokio::select! {
                () = more => false,
                _ = stop.wait_for(|stop| *stop) => true,
            };
            let written = self.0.write().await;
            if let (Err(error), false) = (&written, is_away) {
                tracing::error!(error = chain(error), "what runs came to is not in the rows yet");
            }
            is_away = written.is_err();
            if is_over {
                return;
            }
        }
    }
}

impl Ledger {
    fn add(&self, of: (TokenId, Timestamp), used: RunsUsed) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).entry(of).or_default().add(used);
    }

    fn noted_us(&self, of: &(TokenId, Timestamp)) -> u64 {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).get(of).map_or(0, |used| used.cpu_us)
    }

    /// Writes what there is. What could not be written is kept for the next time.
    async fn write(&self) -> Result<(), StoreError> {
        let all = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if all.is_empty() {
            return Ok(());
        }
        let rows = all.iter().map(|((key, day), used)| (key.clone(), *day, *used));
        let written = self.store.add_run_usage(rows.collect(), self.clock.now()).await;
        if written.is_err() {
            all.into_iter().for_each(|(of, used)| self.add(of, used));
        }
        written
    }
}
