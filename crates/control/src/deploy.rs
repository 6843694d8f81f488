//! Going live: a deploy job moves the app's traffic to a built deployment.

use skylift_bus::Message;
use skylift_model::chain;
use skylift_model::wire::Failure;
use skylift_store::{JobKind, Lease, StoreError};
use tokio::sync::watch;

use crate::worker::Queue;

/// Does deploy jobs until told to stop.
pub async fn run(queue: Queue, stop: watch::Receiver<bool>) {
    queue.run(JobKind::Deploy, stop, |lease| go_live(&queue, lease)).await;
}

/// Does one deploy job.
pub async fn go_live(queue: &Queue, lease: Lease) {
    let Queue { store, bus, clock } = queue;
    match store.go_live(lease.clone(), clock.now()).await {
        Ok(live) => {
            tracing::info!(app = %live.app, deployment.id = %live.deployment.id, generation = live.generation, "live");
            bus.publish(Message::RoutesChanged(live.app));
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
