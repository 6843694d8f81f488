//! How rollouts end: all requests there, or none; by themselves, by hand, or for something newer.

use skylift_model::rollout::RolloutState;
use skylift_model::wire::Failure;
use skylift_model::{AppName, DeploymentId, InstanceState, Timestamp};

use super::{RolloutRow, STEP, of, settings, under_way};
use crate::deployments::fail;
use crate::instances::{self, change, routes_changed};
use crate::log::add_line;
use crate::session::{Session, params};
use crate::{StoreError, jobs};

/// The rollout of a deployment, if there is one, has led to all requests. Side by side, they go to its instances alone from here on.
pub(crate) fn finish(session: &Session, deployment: &DeploymentId, now: Timestamp) -> Result<(), StoreError> {
    let Some(rollout) = of(session, deployment)?.filter(|rollout| !rollout.state.is_over()) else { return Ok(()) };
    end(session, &rollout, RolloutState::Live, None, now)?;
    if rollout.is_side_by_side() {
        serve(session, deployment)?;
        retire(session, &rollout.app, |of| of != deployment, now)?;
    }
    Ok(())
}

/// The deployment of a rollout will not be live. Side by side, its instances get nothing new from here on.
pub(crate) fn take_back(
    session: &Session,
    deployment: &DeploymentId,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(rollout) = of(session, deployment)?.filter(|rollout| !rollout.state.is_over()) else { return Ok(()) };
    end(session, &rollout, RolloutState::Aborted, Some(reason), now)?;
    if rollout.is_side_by_side() {
        retire(session, &rollout.app, |of| of == deployment, now)?;
    }
    Ok(())
}

/// Aborts what is under way: its deployment fails with the reason.
pub(crate) fn abort(session: &Session, rollout: &RolloutRow, reason: String, now: Timestamp) -> Result<(), StoreError> {
    let hint = format!("what was live before goes on; `skylift rollout {}` shows how far it was", rollout.app);
    take_back(session, &rollout.deployment, &reason, now)?;
    add_line(session, &rollout.deployment, STEP, &reason, now)?;
    let failure = Failure { step: STEP.to_owned(), message: reason, exit_code: None, hint: Some(hint) };
    fail(session, &rollout.deployment, &failure, now)?;
    jobs::withdraw(session, &rollout.deployment)
}

/// A newer deployment of the app does not wait for what stays until its owner says something, or for a canary. Returns what
/// it took the place of. A rolling one that is held by nobody comes to its end first.
pub(crate) fn supersede(
    session: &Session,
    app: &AppName,
    by: &DeploymentId,
    now: Timestamp,
) -> Result<Option<DeploymentId>, StoreError> {
    let Some(rollout) = one_that_stays(session, app)? else { return Ok(None) };
    abort(session, &rollout, format!("rollout aborted: superseded by {by}, a newer deployment of {app}"), now)?;
    Ok(Some(rollout.deployment))
}

/// The app is stopped, and what stays until its owner says something with it.
pub(crate) fn stop(session: &Session, app: &AppName, now: Timestamp) -> Result<(), StoreError> {
    let Some(rollout) = one_that_stays(session, app)? else { return Ok(()) };
    abort(session, &rollout, "rollout aborted: the app was stopped".to_owned(), now)
}

/// What is under way, unless it comes to its end by itself soon.
fn one_that_stays(session: &Session, app: &AppName) -> Result<Option<RolloutRow>, StoreError> {
    let Some(rollout) = under_way(session, app)? else { return Ok(None) };
    let pauses = settings(session, &rollout.deployment)?.pause_between_seconds > 0;
    let stays = rollout.is_side_by_side() || pauses || rollout.state == RolloutState::Paused;
    Ok(Some(rollout).filter(|_| stays))
}

fn end(
    session: &Session,
    rollout: &RolloutRow,
    state: RolloutState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    session.execute(
        "UPDATE rollouts SET state = ?2, share = 0, ended_ms = ?3, reason = ?4 WHERE deployment = ?1",
        &params![rollout.deployment.as_str(), state.as_str(), now.as_millis(), reason],
    )?;
    if rollout.share > 0 { routes_changed(session, &rollout.app) } else { Ok(()) }
}

/// The app's own address leads to the instances of a deployment.
pub(super) fn serve(session: &Session, deployment: &DeploymentId) -> Result<(), StoreError> {
    session.execute(
        "UPDATE instances SET serves = 1 WHERE deployment = ?1 AND process = 'web'",
        &params![deployment.as_str()],
    )?;
    Ok(())
}

/// Instances of these deployments get nothing new.
fn retire(
    session: &Session,
    app: &AppName,
    of_these: impl Fn(&DeploymentId) -> bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    for row in instances::of_web(session, app)?.into_iter().filter(|row| of_these(&row.deployment)) {
        match row.state {
            InstanceState::Ready => change(session, &row.id, InstanceState::Draining, now)?,
            InstanceState::Starting => change(session, &row.id, InstanceState::Stopping, now)?,
            InstanceState::Draining | InstanceState::Stopping | InstanceState::Ended => true,
        };
    }
    Ok(())
}
