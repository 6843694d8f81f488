//! Rollouts: how far a deployment is on its way to all requests of its app, and what its owner says of that.
//!
//! A rollout side by side ends in the transaction that ends its deployment's way: instances of the version that lost it get
//! nothing new from that moment on. What ends a rolling one is followed by its planner, one instance after the other.

mod end;

use skylift_model::rollout::{RolloutSettings, RolloutState, Strategy};
use skylift_model::route::RoutedShare;
use skylift_model::{AppName, DeploymentId, InstanceState, Timestamp};

use crate::deployments::{find, live_of, subject};
use crate::error::{Conflict, Missing};
use crate::idempotency::{Done, Once};
use crate::instances::{self, routes_changed};
use crate::jobs::{self, Lease};
use crate::session::{Row, Session, params};
use crate::{Store, StoreError, apps, sql, volumes};

use end::serve;
pub(crate) use end::{abort, finish, stop, supersede, take_back};

/// The step that a deployment failed in whose rollout was aborted.
pub const STEP: &str = "rollout";

/// A rollout as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutRow {
    pub deployment: DeploymentId,
    pub app: AppName,
    /// What was live when it began, where that runs.
    pub old: Option<DeploymentId>,
    pub strategy: Strategy,
    pub state: RolloutState,
    /// How many of a canary's shares were given.
    pub step: u32,
    /// The share of the app's requests that the new version has for itself, in hundredths of a percent.
    pub share: u16,
    /// When the last share was given.
    pub step_at: Option<Timestamp>,
    pub began_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Why it was aborted, or taken back after it had gone live.
    pub reason: Option<String>,
}

/// A rollout with what belongs to it.
#[derive(Clone, Debug)]
pub struct RolloutSeen {
    pub row: RolloutRow,
    pub settings: RolloutSettings,
    /// How many instances the app is to have.
    pub wanted: u32,
    /// Instances of the new version that answer.
    pub ready: u32,
    /// Instances of other versions that answer.
    pub old_ready: u32,
}

/// What an owner says to a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// It stays where it is.
    Pause,
    /// It goes on; a step begins anew.
    Resume,
    /// All requests as soon as there are instances for them.
    Promote,
    /// All requests back to the old version.
    Abort,
}

impl RolloutRow {
    /// Whether its instances stand beside the old ones, which serve on.
    pub fn is_side_by_side(&self) -> bool {
        self.strategy.is_side_by_side()
    }
}

fn read(row: &Row<'_>) -> Result<RolloutRow, StoreError> {
    let (strategy, state): (String, String) = (row.get("strategy")?, row.get("state")?);
    let damaged = |what: &str| StoreError::Damaged(format!("rollout {what:?}"));
    Ok(RolloutRow {
        deployment: sql::parsed(row, "deployment")?,
        app: sql::parsed(row, "app")?,
        old: sql::parsed_maybe(row, "old")?,
        strategy: Strategy::from_name(&strategy).ok_or_else(|| damaged(&strategy))?,
        state: RolloutState::from_name(&state).ok_or_else(|| damaged(&state))?,
        step: u32::try_from(sql::count(row, "step")?).unwrap_or(u32::MAX),
        share: u16::try_from(sql::count(row, "share")?).unwrap_or(u16::MAX),
        step_at: sql::time_maybe(row, "step_ms")?,
        began_at: sql::time(row, "began_ms")?,
        ended_at: sql::time_maybe(row, "ended_ms")?,
        reason: row.get("reason")?,
    })
}

/// What [`of`] asks, of a deployment.
pub(crate) const OF: &str = "SELECT * FROM rollouts WHERE deployment = ?1";

/// The rollout of a deployment, where one began.
pub(crate) fn of(session: &Session, deployment: &DeploymentId) -> Result<Option<RolloutRow>, StoreError> {
    session.first(OF, &params![deployment.as_str()], read)
}

/// The rollout by which a deployment has gone live for the first and only time, where it replaced something: whoever made it live again
/// knows what it does.
pub(crate) fn on_trial(session: &Session, live: &DeploymentId) -> Result<Option<RolloutRow>, StoreError> {
    session.first(
        "SELECT * FROM rollouts WHERE deployment = ?1 AND state = 'live' AND reason IS NULL AND old IS NOT NULL
         AND (SELECT COUNT(*) FROM activations WHERE activations.deployment = rollouts.deployment) = 1",
        &params![live.as_str()],
        read,
    )
}

/// What [`under_way`] asks, of an app.
pub(crate) const UNDER_WAY: &str =
    "SELECT * FROM rollouts WHERE app = ?1 AND ended_ms IS NULL ORDER BY deployment DESC LIMIT 1";

/// The rollout of an app that is not over.
pub(crate) fn under_way(session: &Session, app: &AppName) -> Result<Option<RolloutRow>, StoreError> {
    session.first(UNDER_WAY, &params![app.as_str()], read)
}

/// The share of an app's requests that a version of it has for itself at this moment.
pub(crate) fn share(session: &Session, app: &AppName) -> Result<Option<RoutedShare>, StoreError> {
    let given = under_way(session, app)?.filter(|rollout| rollout.share > 0);
    Ok(given.map(|RolloutRow { deployment, share: hundredths, .. }| RoutedShare { deployment, hundredths }))
}

/// Whether the app's own address leads to new instances of a deployment.
pub(crate) fn serves(session: &Session, deployment: &DeploymentId) -> Result<bool, StoreError> {
    Ok(of(session, deployment)?
        .is_none_or(|rollout| !rollout.is_side_by_side() || rollout.share > 0 || rollout.state == RolloutState::Live))
}

/// How the deployment itself says that it is to be rolled out.
pub(crate) fn settings(session: &Session, deployment: &DeploymentId) -> Result<RolloutSettings, StoreError> {
    Ok(find(session, deployment)?.plan.map(|plan| plan.rollout).unwrap_or_default())
}

fn seen(session: &Session, row: RolloutRow) -> Result<RolloutSeen, StoreError> {
    let settings = settings(session, &row.deployment)?;
    let wanted = apps::find(session, &row.app)?.instances.max(1);
    let ready = instances::of_web(session, &row.app)?.into_iter().filter(|one| one.state == InstanceState::Ready);
    let (new, old): (Vec<_>, Vec<_>) = ready.partition(|one| one.deployment == row.deployment);
    let count = |rows: Vec<_>| u32::try_from(rows.len()).unwrap_or(u32::MAX);
    Ok(RolloutSeen { row, settings, wanted, ready: count(new), old_ready: count(old) })
}

fn steered(session: &Session, rollout: &RolloutRow, steer: Steer, now: Timestamp) -> Result<(), StoreError> {
    use RolloutState::{Going, Paused, Promoted};
    let state = match (steer, rollout.state) {
        (Steer::Abort, _) => return abort(session, rollout, "rollout aborted by its owner".to_owned(), now),
        (Steer::Pause, Going | Paused) => Paused,
        (Steer::Resume, Going | Paused) => Going,
        (Steer::Promote, _) => Promoted,
        (Steer::Pause | Steer::Resume, state) => {
            return Err(Conflict::RolloutIs { app: rollout.app.clone(), state }.into());
        }
    };
    session.execute(
        "UPDATE rollouts SET state = ?2 WHERE deployment = ?1",
        &params![rollout.deployment.as_str(), state.as_str()],
    )?;
    // Nobody looked at what was answered meanwhile.
    begin_step_anew(session, &rollout.deployment, now)
}

fn begin_step_anew(session: &Session, deployment: &DeploymentId, now: Timestamp) -> Result<(), StoreError> {
    session.execute(
        "UPDATE rollouts SET step_ms = ?2 WHERE deployment = ?1 AND step_ms IS NOT NULL",
        &params![deployment.as_str(), now.as_millis()],
    )?;
    Ok(())
}

impl Store {
    /// Begins the rollout of a deploy job, or goes on with it: a step whose platform was killed begins anew. Refused where it asks for more
    /// instances than a volume of its app bears.
    pub async fn begin_rollout(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| {
            jobs::require(session, &lease)?;
            let deployment = find(session, &subject(&lease)?)?;
            if of(session, &deployment.id)?.is_some_and(|rollout| !rollout.state.is_over()) {
                return begin_step_anew(session, &deployment.id, now);
            }
            let old = live_of(session, &deployment.app)?.filter(|live| live.runs);
            if let Some(scale) = deployment.plan.as_ref().and_then(|plan| plan.scale.as_ref()) {
                volumes::refuse_more_than_one(session, &deployment.app, scale.max)?;
            }
            let asked = deployment.plan.map(|plan| plan.rollout.strategy).unwrap_or_default();
            // Where nothing serves, there is nothing to stand beside: nor of an app that its owner has stopped.
            let serves = old.is_some() && !apps::find(session, &deployment.app)?.stopped;
            let strategy = if serves { asked } else { Strategy::Rolling };
            session.execute("DELETE FROM rollouts WHERE deployment = ?1", &params![deployment.id.as_str()])?;
            session.execute(
                "INSERT INTO rollouts (deployment, app, old, strategy, state, began_ms) VALUES (?1, ?2, ?3, ?4, 'going', ?5)",
                &params![
                    deployment.id.as_str(),
                    deployment.app.as_str(),
                    old.as_ref().map(|old| old.id.as_str()),
                    strategy.as_str(),
                    now.as_millis()
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Gives the new version of a rollout a share of the app's requests, in hundredths of a percent. `false` where the rollout is
    /// not `seen` any more: look again.
    pub async fn give_share(
        &self,
        lease: Lease,
        seen: RolloutRow,
        share: u16,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(move |session| {
            jobs::require(session, &lease)?;
            if of(session, &seen.deployment)?.as_ref() != Some(&seen) {
                return Ok(false);
            }
            session.execute(
                "UPDATE rollouts SET step = step + 1, share = ?2, step_ms = ?3 WHERE deployment = ?1",
                &params![seen.deployment.as_str(), u32::from(share), now.as_millis()],
            )?;
            serve(session, &seen.deployment)?;
            routes_changed(session, &seen.app)?;
            // Who comes this far is not one who fails again and again.
            jobs::progressed(session, &lease)?;
            Ok(true)
        })
        .await
    }

    /// Does what an owner says to the rollout that is under way.
    pub async fn steer_rollout(
        &self,
        app: AppName,
        steer: Steer,
        once: Once<RolloutSeen>,
        now: Timestamp,
    ) -> Result<Done<RolloutSeen>, StoreError> {
        self.write_once(once, now, move |session| {
            apps::find(session, &app)?;
            let rollout = under_way(session, &app)?.ok_or_else(|| Conflict::NoRollout(app.clone()))?;
            steered(session, &rollout, steer, now)?;
            let row = of(session, &rollout.deployment)?.ok_or(StoreError::NotFound(Missing::Rollout(app)))?;
            seen(session, row)
        })
        .await
    }

    /// The rollout of an app that is under way, or its last.
    pub async fn rollout(&self, app: AppName) -> Result<RolloutSeen, StoreError> {
        self.read(move |session| {
            apps::find(session, &app)?;
            let last = session.first(
                "SELECT * FROM rollouts WHERE app = ?1 ORDER BY deployment DESC LIMIT 1",
                &params![app.as_str()],
                read,
            )?;
            seen(session, last.ok_or(StoreError::NotFound(Missing::Rollout(app)))?)
        })
        .await
    }
}
