//! The reaper: no job and no deployment stays in a state that nobody works on.

use std::time::Duration;

use skylift_bus::Message;
use skylift_model::chain;
use skylift_store::{Job, JobKind, StoreError};
use tokio::sync::watch;

use crate::deploy::given_up;
use crate::worker::Queue;

const REAP_EVERY: Duration = Duration::from_secs(5);

/// At the start: what an earlier process held is free, where this one is alone with its store. Where others may use
/// it, only time tells what nobody holds any more.
pub async fn after_restart(queue: &Queue) -> Result<(), StoreError> {
    let now = queue.clock.now();
    let dead = if queue.store.is_shared() { queue.store.reap(now).await? } else { queue.store.reap_all(now).await? };
    bury(queue, dead).await
}

/// Takes back expired leases until told to stop.
pub async fn run(queue: Queue, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let reaped = match queue.store.reap(queue.clock.now()).await {
            Ok(dead) => bury(&queue, dead).await,
            Err(error) => Err(error),
        };
        if let Err(error) = reaped {
            tracing::error!(error = %chain(&error), "cannot take back expired leases");
        }
        tokio::select! {
            () = tokio::time::sleep(REAP_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

/// Ends the deployments of jobs that were given up, with a reason.
async fn bury(queue: &Queue, dead: Vec<Job>) -> Result<(), StoreError> {
    for job in dead {
        tracing::error!(job.id = %job.id, subject = job.subject, attempts = job.attempts, "job given up");
        if let (JobKind::Build | JobKind::Deploy, Ok(id)) =
            (job.kind, job.subject.parse::<skylift_model::DeploymentId>())
        {
            queue.store.fail_abandoned(id.clone(), given_up(job.kind.as_str()), queue.clock.now()).await?;
            queue.bus.publish(Message::DeploymentChanged(id));
        }
    }
    Ok(())
}
