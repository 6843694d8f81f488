//! A deployment that runs goes live: its instances take the place of the old ones, one by one or side by side with them.

mod stage;

use std::time::Duration;

use skylift_bus::{Message, Received};
use skylift_model::program::RELEASE;
use skylift_model::wire::Failure;
use skylift_model::{AppName, DeploymentId, DeploymentState, Timestamp, chain};
use skylift_store::{Conflict, Fleet, Lease, RolloutRow, STEP, StoreError, Unstarted};

use crate::evidence::Evidence;
use crate::fleet::{Next, plan};
use crate::judge::{Verdict, judge};
use crate::reconcile::Reconciler;
use crate::release::{self, Release};
use crate::worker::LEASE;
use crate::{deploy, one_writer, processes, side_by_side};
use stage::Stage;

/// What helps where a node is full.
const MAKE_ROOM: &str = "fewer instances of another app (`skylift scale OTHER --max N`), a smaller instance type (`--type`), or a larger \
    `[instances] node_cpu_millicores` or `node_memory_bytes` makes some; then deploy again";

/// How often the lease is renewed, and everything looked at without having been woken.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether the rows say that a rollout is under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    No,
    Yes,
}

/// Rolls a deployment out and makes it live, or ends it with a reason. Goes on where an earlier attempt stopped.
pub(crate) async fn roll_out(reconciler: &Reconciler, lease: Lease, app: AppName, deployment: DeploymentId) {
    let queue = &reconciler.queue;
    let began = queue.clock.now();
    let mut messages = queue.bus.subscribe();
    let mut renewed = began;
    let mut told = None;
    let mut evidence = Evidence::default();
    let mut begun = Begun::No;
    loop {
        let now = queue.clock.now();
        match step(reconciler, &lease, &app, (&mut begun, &mut evidence), began).await {
            Ok(Stage::Ready) => return deploy::go_live(queue, lease).await,
            Ok(Stage::Failed(step, why)) => {
                return refuse(reconciler, lease, &app, &deployment, (step, why), None).await;
            }
            Ok(Stage::NoRoom(missing)) => {
                let why = ("start", format!("no room for another instance: {missing}"));
                return refuse(reconciler, lease, &app, &deployment, why, Some(MAKE_ROOM)).await;
            }
            Ok(Stage::Share(seen, share)) => {
                if give(reconciler, &lease, *seen, share).await {
                    continue;
                }
            }
            Ok(stage) if told.as_ref() == Some(&stage) => {}
            Ok(stage) => {
                tell(reconciler, &deployment, &stage.words(&app)).await;
                told = Some(stage);
            }
            Err(StoreError::Conflict(why @ Conflict::OneWriter { .. })) => {
                return refuse(reconciler, lease, &app, &deployment, (STEP, why.to_string()), None).await;
            }
            // Cancelled, or aborted, or taken by another worker. What was started is cleared away by whoever looks next.
            Err(StoreError::Fenced) => return queue.bus.publish(Message::InstancesChanged(app)),
            Err(error) => tracing::warn!(deployment.id = %deployment, error = %chain(&error), "a rollout waits"),
        }
        if now.since(renewed) >= LOOK_EVERY {
            match queue.store.renew(lease.clone(), now, LEASE).await {
                Ok(()) => renewed = now,
                Err(StoreError::Fenced) => return queue.bus.publish(Message::InstancesChanged(app)),
                Err(error) => {
                    tracing::warn!(deployment.id = %deployment, error = %chain(&error), "cannot renew a lease")
                }
            }
        }
        let woken = async {
            loop {
                match messages.next().await {
                    Received::Message(Message::Answered(_, seen)) => return evidence.hear(&seen),
                    Received::Message(Message::InstancesChanged(of)) if of == app => return,
                    Received::Message(Message::CancelAsked(of)) if of == deployment => return,
                    Received::Missed => return,
                    Received::Message(_) => {}
                    Received::Closed => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn step(
    reconciler: &Reconciler,
    lease: &Lease,
    app: &AppName,
    (begun, evidence): (&mut Begun, &mut Evidence),
    began: Timestamp,
) -> Result<Stage, StoreError> {
    let store = &reconciler.queue.store;
    let now = reconciler.queue.clock.now();
    // Nothing is planned before it is known how: a canary must not be taken for anything else.
    if *begun == Begun::No {
        store.begin_rollout(lease.clone(), now).await?;
        *begun = Begun::Yes;
    }
    let fleet = store.fleet(app.clone(), began).await?;
    let node = reconciler.node.as_deref();
    let (release, mut beside) = release::plan(&fleet, node);
    if let Some(why) = one_writer::refuses(&fleet) {
        return Ok(Stage::Failed(STEP, why));
    }
    let (stage, next) = match release {
        Release::Failed(why) => return Ok(Stage::Failed(RELEASE, why)),
        // It has the volume to itself.
        Release::Running if fleet.one_writer.is_some() => {
            let next = one_writer::make_way(&fleet);
            if !fleet.instances.is_empty() {
                beside.start_beside.clear();
            }
            (Stage::Releasing, next)
        }
        // Until it is done, what is live is looked after as if nothing else were to come.
        Release::Running => {
            let live_alone = Fleet { next: None, rollout: None, ..fleet.clone() };
            (Stage::Releasing, plan(&live_alone, reconciler.pace, node, now))
        }
        Release::Done => roll(reconciler, &fleet, evidence, now),
    };
    let (workers, _) = processes::plan(&fleet, reconciler.pace, node, now);
    // Without room a new version is refused, where none is about to be made.
    match reconciler.change(fleet, next.changes.and(beside).and(workers)).await? {
        Some(Unstarted { reason, is_passing: false, is_needed: true })
            if stage == Stage::Starting || stage == Stage::Releasing =>
        {
            Ok(Stage::NoRoom(reason))
        }
        _ => Ok(stage),
    }
}

/// What is next in the way that the deployment asks for.
fn roll(reconciler: &Reconciler, fleet: &Fleet, evidence: &mut Evidence, now: Timestamp) -> (Stage, Next) {
    let (pace, node) = (reconciler.pace, reconciler.node.as_deref());
    let rollout = fleet.rollout.as_ref();
    let Some(beside) = rollout.filter(|rollout| rollout.is_side_by_side()) else {
        let next = plan(fleet, pace, node, now);
        return (Stage::of(&next.rollout, rollout, &Verdict::GoOn), next);
    };
    evidence.look(beside);
    let verdict = judge(&evidence.canary, &evidence.stable, &fleet.settings);
    let next = side_by_side::plan(fleet, beside, &verdict, pace, node, now);
    (Stage::of(&next.rollout, rollout, &verdict), next)
}

/// Gives the new version a share of the requests. `false` where that cannot be done now.
async fn give(reconciler: &Reconciler, lease: &Lease, seen: RolloutRow, share: u16) -> bool {
    let (queue, app, deployment) = (&reconciler.queue, seen.app.clone(), seen.deployment.clone());
    match queue.store.give_share(lease.clone(), seen, share, queue.clock.now()).await {
        Ok(given) => {
            tracing::info!(app = %app, deployment.id = %deployment, share, given, "a canary's share");
            queue.bus.publish(Message::RoutesChanged(app.clone()));
            queue.bus.publish(Message::InstancesChanged(app));
            given
        }
        Err(error) => {
            tracing::warn!(deployment.id = %deployment, error = %chain(&error), "cannot give a canary its share");
            false
        }
    }
}

/// Ends a deployment whose release command fails or whose instances do not come up; what was live goes on.
async fn refuse(
    reconciler: &Reconciler,
    lease: Lease,
    app: &AppName,
    deployment: &DeploymentId,
    (step, reason): (&str, String),
    helps: Option<&str>,
) {
    let queue = &reconciler.queue;
    tracing::info!(app = %app, deployment.id = %deployment, reason, "a rollout failed");
    let goes_on = |fleet: &Fleet| fleet.instances.iter().any(|one| Some(&one.deployment) == fleet.live.as_ref());
    let fleet = queue.store.fleet(app.clone(), queue.clock.now()).await;
    let before = match fleet {
        Ok(fleet) if goes_on(&fleet) => "what was live before goes on; ",
        Ok(fleet) if fleet.live.is_some() => "what was live before is started again as soon as it can be; ",
        _ => "",
    };
    let printed = || format!("`skylift logs {app} --deployment {deployment}` shows what it printed");
    let hint = format!("{before}{}", helps.map_or_else(printed, str::to_owned));
    let failure = Failure { step: step.to_owned(), message: reason, exit_code: None, hint: Some(hint) };
    match queue.store.fail_deployment(lease, failure, queue.clock.now()).await {
        Ok(()) | Err(StoreError::Fenced) => {}
        Err(error) => tracing::error!(deployment.id = %deployment, error = %chain(&error), "cannot end a rollout"),
    }
    queue.bus.publish(Message::DeploymentChanged(deployment.clone()));
    queue.bus.publish(Message::RoutesChanged(app.clone()));
    queue.bus.publish(Message::InstancesChanged(app.clone()));
    queue.bus.publish(Message::JobReady);
}

/// Tells in the deployment's events how its rollout goes.
async fn tell(reconciler: &Reconciler, deployment: &DeploymentId, message: &str) {
    let queue = &reconciler.queue;
    let told =
        queue.store.add_event(deployment.clone(), DeploymentState::Deploying, message.to_owned(), queue.clock.now());
    if let Err(error) = told.await {
        tracing::warn!(deployment.id = %deployment, error = %chain(&error), "cannot tell how a rollout goes");
    }
    queue.bus.publish(Message::DeploymentChanged(deployment.clone()));
}
