//! Databases of apps whose making on the owner's server was begun and never came to its end: they are removed there, then forgotten.
//!
//! Whoever makes one may be another process, so it has its time first; where this process is alone with its rows, what was begun
//! before it started is nobody's.

use std::time::Duration;

use skylift_model::{Timestamp, chain};
use skylift_store::TenantServer;
use tokio::sync::watch;

use crate::worker::Queue;

/// Longer than making one may take, step by step.
const MADE_WITHIN: Duration = Duration::from_secs(900);
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Removes them until told to stop. `began` is when this process did.
pub async fn run(queue: Queue, server: TenantServer, began: Timestamp, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let late = queue.clock.now().minus(MADE_WITHIN);
        remove(&queue, &server, if queue.store.is_shared() { late } else { began.max(late) }).await;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

/// Removes what was begun before then. What cannot be removed now is looked at again.
async fn remove(queue: &Queue, server: &TenantServer, begun_before: Timestamp) {
    let begun = match queue.store.begun_databases(begun_before).await {
        Ok(begun) => begun,
        Err(error) => return tracing::warn!(error = %chain(&error), "cannot tell which databases were begun"),
    };
    for place in begun {
        if let Err(error) = server.remove(&place).await {
            tracing::warn!(place, error = %chain(&error), "cannot remove a database that was never finished");
            continue;
        }
        match queue.store.forget_begun_database(place.clone()).await {
            Ok(()) => tracing::info!(place, "removed a database that was never finished"),
            Err(error) => tracing::warn!(place, error = %chain(&error), "cannot forget a database that is gone"),
        }
    }
}
