//! Taking work: one loop for every kind of job.

use std::future::Future;
use std::time::Duration;

use skylift_bus::{Bus, Message};
use skylift_model::{Clock, chain};
use skylift_store::{JobKind, Lease, Store};
use tokio::sync::watch;

/// How long a lease is held before it must be renewed.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often the queue is looked at without having been woken: wake-ups may be lost, time passes for retries.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What every worker needs.
#[derive(Clone)]
pub struct Queue {
    pub store: Store,
    pub bus: Bus,
    pub clock: Clock,
}

impl Queue {
    /// Takes jobs of a kind one after the other and runs `work` on each, until told to stop.
    pub async fn run<F: Future<Output = ()>>(
        &self,
        kind: JobKind,
        mut stop: watch::Receiver<bool>,
        work: impl Fn(Lease) -> F,
    ) {
        let mut subscription = self.bus.subscribe();
        while !*stop.borrow() {
            match self.store.lease(kind, self.clock.now(), LEASE).await {
                Ok(Some(lease)) => {
                    work(lease).await;
                    // The end of a job may free its lane for another.
                    self.bus.publish(Message::JobReady);
                    continue;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(error = %chain(&error), kind = kind.as_str(), "cannot take work"),
            }
            tokio::select! {
                () = subscription.wait_for(|message| *message == Message::JobReady) => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }
}
