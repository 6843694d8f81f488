//! The reaper: no job and no deployment stays in a state that nobody works on.

use std::time::Duration;

use skylift_bus::Message;
use skylift_model::chain;
use skylift_store::{Job, StoreError};
use tokio::sync::watch;

use crate::deploy::given_up;
use crate::worker::Queue;

const REAP_EVERY: Duration = Duration::from_secs(5);

/// At the start: what an earlier process held is free, where this one is alone with its store. Where others may use
/// it, only time tells what nobody holds any more.
pub async fn after_restart(queue: &Queue) -> Result<(), StoreError> {
    let now = queue.clock.now();
    let is_shared = queue.store.is_shared();
    let dead = if is_shared { queue.store.reap(now).await? } else { queue.store.reap_all(now).await? };
    bury(queue, dead).await?;
    let dead = if is_shared { queue.store.reap_runs(now).await? } else { queue.store.reap_all_runs(now).await? };
    tell_dead_runs(dead);
    Ok(())
}

/// One look at everything: takes back expired leases, ends what was given up. Safe to be killed anywhere in: the next
/// pass goes on with what is left.
pub async fn pass(queue: &Queue) -> Result<(), StoreError> {
    let now = queue.clock.now();
    let dead = queue.store.reap(now).await?;
    bury(queue, dead).await?;
    tell_dead_runs(queue.store.reap_runs(now).await?);
    while queue.store.forget_runs(now).await? {}
    Ok(())
}

fn tell_dead_runs(dead: u64) {
    if dead > 0 {
        tracing::error!(runs = dead, "runs given up: whoever had them stopped answering");
    }
}

/// Takes back expired leases until told to stop.
pub async fn run(queue: Queue, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if let Err(error) = pass(&queue).await {
            tracing::error!(error = %chain(&error), "cannot take back expired leases");
        }
        tokio::select! {
            () = tokio::time::sleep(REAP_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

/// Tells which jobs were given up, and ends every deployment that is left without one, with a reason: also those of
/// jobs that were given up by somebody who died before they had done so.
async fn bury(queue: &Queue, dead: Vec<Job>) -> Result<(), StoreError> {
    for job in dead {
        tracing::error!(job.id = %job.id, subject = job.subject, attempts = job.attempts, "job given up");
    }
    for (id, kind) in queue.store.abandoned().await? {
        queue.store.fail_abandoned(id.clone(), given_up(kind.as_str()), queue.clock.now()).await?;
        queue.bus.publish(Message::DeploymentChanged(id));
    }
    Ok(())
}
