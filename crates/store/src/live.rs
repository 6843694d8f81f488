//! What is live: going live, rolling back, and the routes that follow.
//!
//! The changes of what is live form a stack: a deploy pushes onto it, a rollback goes back to what lies below.
//! Every change is one compare-and-set of the app's generation, in the transaction that records it.

mod taken_back;

use skylift_durable::{Defence, left_out};
use skylift_model::plan::Plan;
use skylift_model::program::WEB;
use skylift_model::route::{AppRoutes, RoutedDeployment};
use skylift_model::{AppName, DeploymentId, DeploymentState, Timestamp};

use crate::deployments::{DeploymentRow, change_state, find, subject};
use crate::error::{Conflict, Missing};
use crate::idempotency::{Done, Once};
use crate::jobs::{self, Lease};
use crate::session::{Session, params};
use crate::{Store, StoreError, apps, deployments, env, instances, rollouts, scaling, sql};

/// A change of what is live.
#[derive(Clone, Debug)]
pub struct WentLive {
    pub app: AppName,
    pub deployment: DeploymentRow,
    /// The generation that serves it.
    pub generation: u64,
    /// The one whose rollout was aborted by that.
    pub aborted: Option<DeploymentId>,
}

struct Activation {
    id: i64,
    deployment: DeploymentId,
    below: Option<i64>,
}

fn activation(session: &Session, id: Option<i64>) -> Result<Option<Activation>, StoreError> {
    let Some(id) = id else { return Ok(None) };
    session.first("SELECT * FROM activations WHERE id = ?1", &params![id], |row| {
        Ok(Activation { id: row.get("id")?, deployment: sql::parsed(row, "deployment")?, below: row.get("below")? })
    })
}

/// What [`top`] asks first, of an app.
const TOP: &str = "SELECT activation FROM apps WHERE name = ?1";

fn top(session: &Session, app: &AppName) -> Result<Option<Activation>, StoreError> {
    let id = session.first(TOP, &params![app.as_str()], |row| row.get::<Option<i64>>("activation"))?;
    activation(session, id.flatten())
}

/// Makes `deployment` what is live, on top of `below`, with the environment it was built with.
fn activate(
    session: &Session,
    deployment: &DeploymentRow,
    below: Option<i64>,
    message: &str,
    now: Timestamp,
) -> Result<WentLive, StoreError> {
    session.foresee(&[
        (rollouts::OF, &params![deployment.id.as_str()]),
        (&apps::question(), &params![deployment.app.as_str()]),
    ])?;
    rollouts::finish(session, &deployment.id, now)?;
    let app = apps::find(session, &deployment.app)?;
    if let Some(replaced) = app.live.filter(|live| *live != deployment.id) {
        change_state(session, &replaced, DeploymentState::Previous, "replaced", now)?;
    }
    change_state(session, &deployment.id, DeploymentState::Live, message, now)?;
    let generation = app.generation + u64::from(!left_out(Defence::Generation));
    let id: i64 = session.one(
        "INSERT INTO activations (app, generation, deployment, below, at_ms) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
        &params![app.name.as_str(), sql::signed(generation), deployment.id.as_str(), below, now.as_millis()],
        |row| row.get("id"),
    )?;
    let changed = session.execute(
        "UPDATE apps SET generation = ?2, activation = ?3 WHERE name = ?1 AND generation = ?4",
        &params![app.name.as_str(), sql::signed(generation), id, sql::signed(app.generation)],
    )?;
    if changed != 1 {
        return Err(Conflict::LiveChanged(app.name).into());
    }
    scaling::keep_within(session, &app.name, now)?;
    Ok(WentLive { app: app.name, deployment: find(session, &deployment.id)?, generation, aborted: None })
}

/// What of an app has an address: its deployments that were built, newest first. Of states: ?2 replaced, ?3 and ?4 come to nothing.
const ROUTED: &str = "SELECT id, artifact, runs, CASE runs WHEN 1 THEN plan END AS plan, CASE state WHEN ?2 THEN
       (SELECT MAX(at_ms) FROM events WHERE deployment = id AND events.state = ?2) END AS replaced_ms
     FROM deployments WHERE app = ?1 AND artifact IS NOT NULL AND state NOT IN (?3, ?4) ORDER BY id DESC";

fn routes(session: &Session, app: &AppName) -> Result<Option<AppRoutes>, StoreError> {
    let name = params![app.as_str()];
    let [previous, failed, cancelled] =
        [DeploymentState::Previous, DeploymentState::Failed, DeploymentState::Cancelled].map(DeploymentState::as_str);
    let routed = params![app.as_str(), previous, failed, cancelled];
    // What has gone live is visible only once an edge has read this.
    session.foresee(&[
        (&apps::question(), &name),
        (ROUTED, &routed),
        (instances::ROUTED, &params![app.as_str(), WEB]),
        (rollouts::UNDER_WAY, &name),
    ])?;
    let row = match apps::find(session, app) {
        Ok(row) => row,
        Err(StoreError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = session.all(ROUTED, &routed, |row| {
        let replaced = row.get::<Option<i64>>("replaced_ms")?.map(Timestamp::from_millis);
        let runs = row.get::<i64>("runs")? != 0;
        let plan: Option<Plan> = sql::json_maybe(row, "plan")?;
        let net_in = plan.as_ref().map(|plan| plan.net.inward.clone()).unwrap_or_default();
        let deployment = RoutedDeployment {
            id: sql::parsed(row, "id")?,
            artifact: sql::digest(row, "artifact")?,
            replaced,
            runs,
            sticky: plan.as_ref().is_some_and(|plan| plan.sticky),
            protocol: plan.map(|plan| plan.protocol).unwrap_or_default(),
        };
        Ok((deployment, net_in))
    })?;
    let mut net_in = row.net.inward;
    let of_live = found.iter().find(|(deployment, _)| Some(&deployment.id) == row.live.as_ref());
    net_in.extend(of_live.into_iter().flat_map(|(_, rules)| rules.iter().cloned()));
    let deployments = found.into_iter().map(|(deployment, _)| deployment).collect();
    let instances = instances::routed(session, app)?;
    let share = rollouts::share(session, app)?;
    let (app, generation, live, stopped) = (row.name, row.generation, row.live, row.stopped);
    Ok(Some(AppRoutes { app, generation, live, deployments, instances, stopped, share, net_in }))
}

/// What a rollback without a target goes back to: the nearest below that is still kept.
fn below_top(session: &Session, app: &AppName) -> Result<(DeploymentRow, Option<i64>), StoreError> {
    let nothing = || StoreError::from(Conflict::NothingBelow(app.clone()));
    let live = top(session, app)?.ok_or_else(nothing)?;
    let mut below = activation(session, live.below)?;
    while let Some(earlier) = below {
        let kept = match find(session, &earlier.deployment) {
            Ok(row) => Some(row).filter(|row| row.state == DeploymentState::Previous),
            Err(StoreError::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        if let Some(row) = kept {
            return Ok((row, earlier.below));
        }
        below = activation(session, earlier.below)?;
    }
    Err(nothing())
}

impl Store {
    /// Moves the app's traffic to the deployment of a deploy job, which ends with it.
    pub async fn go_live(&self, lease: Lease, now: Timestamp) -> Result<WentLive, StoreError> {
        let types = self.instance_types();
        self.write(move |session| {
            jobs::complete(session, &lease)?;
            let deployment = find(session, &subject(&lease)?)?;
            let below = top(session, &deployment.app)?.map(|top| top.id);
            let went_live = activate(session, &deployment, below, "live", now)?;
            // What was set since it was asked for counts for it, too.
            let env_version = apps::find(session, &deployment.app)?.env_version;
            env::give_to_live(session, &deployment.app, env_version, &types, now)?;
            Ok(went_live)
        })
        .await
    }

    /// Moves the app's traffic back: to `target`, or to what was live before. A rollout that is under way is aborted; without a
    /// target that is all, since what it would have replaced is live.
    pub async fn roll_back(
        &self,
        app: AppName,
        target: Option<DeploymentId>,
        once: Once<WentLive>,
        now: Timestamp,
    ) -> Result<Done<WentLive>, StoreError> {
        self.write_once(once, now, move |session| {
            let (name, target_id) = (params![app.as_str()], params![target.as_ref().map(DeploymentId::as_str)]);
            session.foresee(&[
                (&apps::question(), &name),
                (rollouts::UNDER_WAY, &name),
                (TOP, &name),
                (&deployments::question(), &target_id),
            ])?;
            let row = apps::find(session, &app)?;
            let aborted = rollouts::under_way(session, &app)?;
            if let Some(rollout) = &aborted {
                rollouts::abort(session, rollout, "rollout aborted: the app was rolled back".to_owned(), now)?;
                // What was deployed last is taken back, and that is all: it never was live.
                if let (None, Some(live)) = (&target, &row.live) {
                    let (deployment, generation) = (find(session, live)?, apps::find(session, &app)?.generation);
                    let aborted = Some(rollout.deployment.clone());
                    return Ok(WentLive { app, deployment, generation, aborted });
                }
            }
            let (deployment, below) = match target {
                None => below_top(session, &app)?,
                Some(id) => (target_of(session, &app, &id)?, top(session, &app)?.map(|top| top.id)),
            };
            let went_live = activate(session, &deployment, below, "live again (rollback)", now)?;
            session.execute(
                "UPDATE apps SET env_version = ?2 WHERE name = ?1",
                &params![app.as_str(), sql::signed(deployment.env_version)],
            )?;
            Ok(WentLive { aborted: aborted.map(|rollout| rollout.deployment), ..went_live })
        })
        .await
    }

    /// The routes of one app; `None` where it is gone.
    pub async fn app_routes(&self, app: AppName) -> Result<Option<AppRoutes>, StoreError> {
        self.read(move |session| routes(session, &app)).await
    }

    /// The routes of every app.
    pub async fn all_routes(&self) -> Result<Vec<AppRoutes>, StoreError> {
        self.read(|session| {
            let names: Vec<AppName> =
                session.all("SELECT name FROM apps ORDER BY name", &[], |row| sql::parsed(row, "name"))?;
            let mut all = Vec::with_capacity(names.len());
            for name in &names {
                all.extend(routes(session, name)?);
            }
            Ok(all)
        })
        .await
    }
}

fn target_of(session: &Session, app: &AppName, id: &DeploymentId) -> Result<DeploymentRow, StoreError> {
    let row = find(session, id)?;
    if row.app != *app {
        return Err(StoreError::NotFound(Missing::DeploymentOf { app: app.clone(), deployment: id.clone() }));
    }
    match row.state {
        DeploymentState::Previous => Ok(row),
        DeploymentState::Live => Err(Conflict::LiveAlready(id.clone()).into()),
        state => Err(Conflict::NeverLive { deployment: id.clone(), state }.into()),
    }
}
