//! Going live: a deploy job moves the app's traffic to a built deployment.

use skylift_bus::Message;
use skylift_model::chain;
use skylift_model::wire::Failure;
use skylift_store::{JobKind, Lease, StoreError};
use tokio::sync::watch;

use crate::reconcile::Reconciler;
use crate::rollout;
use crate::worker::Queue;

/// Does deploy jobs until told to stop.
pub async fn run(reconciler: Reconciler, stop: watch::Receiver<bool>) {
    let queue = reconciler.queue.clone();
    queue.run(JobKind::Deploy, stop, |lease| do_job(&reconciler, lease)).await;
}

/// Does one deploy job; where its deployment runs, behind the caller's back, so that others go live meanwhile.
async fn do_job(reconciler: &Reconciler, lease: Lease) {
    let queue = &reconciler.queue;
    let found = match lease.subject.parse() {
        Ok(id) => queue.store.deployment(id).await,
        Err(_) => return go_live(queue, lease).await,
    };
    match found {
        Ok(deployment) if deployment.runs => {
            let reconciler = reconciler.clone();
            tokio::spawn(async move {
                rollout::roll_out(&reconciler, lease, deployment.app, deployment.id).await;
            });
        }
        // Nobody knows whether it runs: taken for files, it would be live without an instance that answers.
        Err(error) if error.is_away() => gave_up(queue, lease, &error).await,
        Ok(_) | Err(_) => go_live(queue, lease).await,
    }
}

/// Makes a deployment live.
pub async fn go_live(queue: &Queue, lease: Lease) {
    let Queue { store, bus, clock } = queue;
    match store.go_live(lease.clone(), clock.now()).await {
        Ok(live) => {
            tracing::info!(app = %live.app, deployment.id = %live.deployment.id, generation = live.generation, "live");
            bus.publish(Message::RoutesChanged(live.app.clone()));
            bus.publish(Message::InstancesChanged(live.app));
            bus.publish(Message::DeploymentChanged(live.deployment.id));
        }
        // Cancelled, or taken by another worker: nothing of ours is left to do.
        Err(StoreError::Fenced) => {}
        Err(error) => gave_up(queue, lease, &error).await,
    }
}

/// An attempt came to nothing: it is made again, and given up where that is no use.
async fn gave_up(queue: &Queue, lease: Lease, error: &StoreError) {
    let Queue { store, clock, .. } = queue;
    let text = chain(error);
    tracing::error!(deployment.id = lease.subject, error = text, "deploy attempt failed");
    // A table that somebody works on for minutes, a server without room: what is accepted waits for the end of it.
    if error.is_away() {
        if let Err(error) = store.postpone(lease, text, clock.now()).await {
            tracing::warn!(error = %chain(&error), "cannot put a deploy job back");
        }
        return;
    }
    let dead = store.retry(lease.clone(), text, clock.now()).await.unwrap_or(false);
    if let (true, Ok(id)) = (dead, lease.subject.parse()) {
        let _ = store.fail_abandoned(id, given_up("deploy"), clock.now()).await;
    }
}

/// What a deployment says whose job was given up.
pub fn given_up(step: &str) -> Failure {
    Failure {
        step: step.to_owned(),
        message: "the platform tried several times and could not finish".to_owned(),
        exit_code: None,
        hint: Some(
            "see the platform's log; `skylift jobs --dead` lists the job, `skylift jobs replay` runs it again"
                .to_owned(),
        ),
    }
}
