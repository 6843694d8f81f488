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
        Ok(id) => queue.store.deployment(id).await.ok(),
        Err(_) => None,
    };
    match found.filter(|deployment| deployment.runs) {
        Some(deployment) => {
            let reconciler = reconciler.clone();
            tokio::spawn(async move {
                rollout::roll_out(&reconciler, lease, deployment.app, deployment.id).await;
            });
        }
        None => go_live(queue, lease).await,
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
        Err(error) => {
            let text = chain(&error);
            tracing::error!(deployment.id = lease.subject, error = text, "deploy attempt failed");
            let dead = store.retry(lease.clone(), text, clock.now()).await.unwrap_or(false);
            if let (true, Ok(id)) = (dead, lease.subject.parse()) {
                let _ = store.fail_abandoned(id, given_up("deploy"), clock.now()).await;
            }
        }
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
