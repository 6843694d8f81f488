//! A deployment that runs goes live: its instances take the place of the old ones, one by one.

use std::time::Duration;

use skylift_bus::Message;
use skylift_model::wire::Failure;
use skylift_model::{AppName, DeploymentId, DeploymentState, Timestamp, chain};
use skylift_store::{Lease, StoreError};

use crate::deploy;
use crate::fleet::{Rollout, plan};
use crate::reconcile::Reconciler;
use crate::worker::LEASE;

/// How often the lease is renewed, and everything looked at without having been woken.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Rolls a deployment out and makes it live, or ends it with a reason. Goes on where an earlier attempt stopped.
pub(crate) async fn roll_out(reconciler: &Reconciler, lease: Lease, app: AppName, deployment: DeploymentId) {
    let queue = &reconciler.queue;
    let began = queue.clock.now();
    let mut messages = queue.bus.subscribe();
    let mut renewed = began;
    loop {
        let now = queue.clock.now();
        match step(reconciler, &app, began, now).await {
            Ok(Rollout::Ready | Rollout::None) => return deploy::go_live(queue, lease).await,
            Ok(Rollout::Failed(reason)) => return refuse(reconciler, lease, &app, &deployment, reason).await,
            Ok(Rollout::Rolling) => {}
            Err(error) => tracing::warn!(deployment.id = %deployment, error = %chain(&error), "a rollout waits"),
        }
        if now.since(renewed) >= LOOK_EVERY {
            match queue.store.renew(lease.clone(), now, LEASE).await {
                Ok(()) => renewed = now,
                // Cancelled, or taken by another worker. What was started is cleared away by whoever looks next.
                Err(StoreError::Fenced) => {
                    queue.bus.publish(Message::InstancesChanged(app));
                    return;
                }
                Err(error) => {
                    tracing::warn!(deployment.id = %deployment, error = %chain(&error), "cannot renew a lease")
                }
            }
        }
        let concerns = |message: &Message| {
            *message == Message::InstancesChanged(app.clone()) || *message == Message::CancelAsked(deployment.clone())
        };
        tokio::select! {
            () = messages.wait_for(concerns) => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn step(reconciler: &Reconciler, app: &AppName, began: Timestamp, now: Timestamp) -> Result<Rollout, StoreError> {
    let fleet = reconciler.queue.store.fleet(app.clone(), began).await?;
    let next = plan(&fleet, reconciler.pace, reconciler.node.as_deref(), now);
    reconciler.change(fleet, next.changes).await?;
    Ok(next.rollout)
}

/// Ends a deployment whose instances do not come up; what was live goes on.
async fn refuse(reconciler: &Reconciler, lease: Lease, app: &AppName, deployment: &DeploymentId, reason: String) {
    let queue = &reconciler.queue;
    tracing::info!(app = %app, deployment.id = %deployment, reason, "a rollout failed");
    let failure = Failure {
        step: "start".to_owned(),
        message: reason,
        exit_code: None,
        hint: Some(format!(
            "what was live before goes on; `skylift logs {app} --build {deployment}` shows what the instance printed"
        )),
    };
    match queue.store.fail_deployment(lease, failure, queue.clock.now()).await {
        Ok(()) | Err(StoreError::Fenced) => {}
        Err(error) => tracing::error!(deployment.id = %deployment, error = %chain(&error), "cannot end a rollout"),
    }
    queue.bus.publish(Message::DeploymentChanged(deployment.clone()));
    queue.bus.publish(Message::InstancesChanged(app.clone()));
    queue.bus.publish(Message::JobReady);
}

/// Tells in the deployment's events how its rollout goes.
pub(crate) async fn tell(reconciler: &Reconciler, deployment: &DeploymentId, message: &str) {
    let queue = &reconciler.queue;
    let told =
        queue.store.add_event(deployment.clone(), DeploymentState::Deploying, message.to_owned(), queue.clock.now());
    if let Err(error) = told.await {
        tracing::warn!(deployment.id = %deployment, error = %chain(&error), "cannot tell how a rollout goes");
    }
    queue.bus.publish(Message::DeploymentChanged(deployment.clone()));
}
