//! Those who wait for runs to settle: however many there are, they hear it over one subscription of their process, and their rows are
//! read together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skylift_bus::{Message, Received};
use skylift_model::{RunId, chain};
use skylift_store::{RunRow, Store, StoreError};
use tokio::sync::{oneshot, watch};

use crate::Queue;

/// How often the rows are looked at without having been woken: messages may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How many rows are read at once.
const PAGE: usize = 200;

type Waiters = HashMap<RunId, Vec<oneshot::Sender<RunRow>>>;

/// Those who wait in this process.
#[derive(Clone, Default)]
pub struct Waiting(Arc<Mutex<Waiters>>);

/// Somebody who waits for one run.
pub struct Waiter(oneshot::Receiver<RunRow>);

impl Waiter {
    /// Its row, once it has settled; `None` where the process ends before.
    pub async fn settled(self) -> Option<RunRow> {
        self.0.await.ok()
    }
}

impl Waiting {
    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on the run's end is not missed.
    pub fn wait_for(&self, id: &RunId) -> Waiter {
        let (told, hears) = oneshot::channel();
        self.waiters().entry(id.clone()).or_default().push(told);
        Waiter(hears)
    }

    /// Hears what settles, for all who wait, until told to stop.
    pub async fn run(self, queue: Queue, mut stop: watch::Receiver<bool>) {
        let mut subscription = queue.bus.subscribe();
        while !*stop.borrow() {
            let settled = tokio::select! {
                received = subscription.next() => match received {
                    Received::Message(Message::RunsSettled(ids)) => self.awaited(Some(ids)),
                    Received::Message(_) => continue,
                    Received::Missed => self.awaited(None),
                    Received::Closed => return,
                },
                () = tokio::time::sleep(LOOK_EVERY) => self.awaited(None),
                _ = stop.wait_for(|stop| *stop) => return,
            };
            if let Err(error) = self.tell(&queue.store, settled).await {
                tracing::warn!(error = chain(&error), "those who wait for runs cannot be told");
            }
        }
    }

    /// Of these those that somebody waits for; else all of them. Whoever waits no more is forgotten.
    fn awaited(&self, of: Option<Vec<RunId>>) -> Vec<RunId> {
        let mut waiters = self.waiters();
        match of {
            Some(ids) => ids.into_iter().filter(|id| waiters.contains_key(id)).collect(),
            None => {
                waiters.retain(|_, all| {
                    all.retain(|told| !told.is_closed());
                    !all.is_empty()
                });
                waiters.keys().cloned().collect()
            }
        }
    }

    async fn tell(&self, store: &Store, ids: Vec<RunId>) -> Result<(), StoreError> {
        for page in ids.chunks(PAGE) {
            for row in store.settled_runs(page.to_vec()).await? {
                for told in self.waiters().remove(&row.id).unwrap_or_default() {
                    // Who waits no more need not be told.
                    let _ = told.send(row.clone());
                }
            }
        }
        Ok(())
    }
}
