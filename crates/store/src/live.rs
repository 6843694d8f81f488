//! What is live: going live, rolling back, and the routes that follow.
//!
//! The changes of what is live form a stack: a deploy pushes onto it, a rollback goes back to what lies below.
//! Every change is one compare-and-set of the app's generation, in the transaction that records it.

use skylift_durable::{Defence, left_out};
use skylift_model::route::{AppRoutes, RoutedDeployment};
use skylift_model::{AppName, DeploymentId, DeploymentState, Timestamp};

use crate::deployments::{DeploymentRow, change_state, find, subject};
use crate::error::{Conflict, Missing};
use crate::idempotency::{Done, Once};
use crate::jobs::{self, Lease};
use crate::session::{Session, params};
use crate::{Store, StoreError, apps, instances, sql};

/// A change of what is live.
#[derive(Clone, Debug)]
pub struct WentLive {
    pub app: AppName,
    pub deployment: DeploymentRow,
    /// The generation that serves it.
    pub generation: u64,
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

fn top(session: &Session, app: &AppName) -> Result<Option<Activation>, StoreError> {
    let id = session.first("SELECT activation FROM apps WHERE name = ?1", &params![app.as_str()], |row| {
        row.get::<Option<i64>>("activation")
    })?;
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
    Ok(WentLive { app: app.name, deployment: find(session, &deployment.id)?, generation })
}

fn routes(session: &Session, app: &AppName) -> Result<Option<AppRoutes>, StoreError> {
    let row = match apps::find(session, app) {
        Ok(row) => row,
        Err(StoreError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let deployments = session.all(
        "SELECT id, artifact, runs, CASE state WHEN ?2 THEN
           (SELECT MAX(at_ms) FROM events WHERE deployment = id AND events.state = ?2) END AS replaced_ms
         FROM deployments WHERE app = ?1 AND artifact IS NOT NULL ORDER BY id DESC",
        &params![app.as_str(), DeploymentState::Previous.as_str()],
        |row| {
            let replaced = row.get::<Option<i64>>("replaced_ms")?.map(Timestamp::from_millis);
            let runs = row.get::<i64>("runs")? != 0;
            Ok(RoutedDeployment {
                id: sql::parsed(row, "id")?,
                artifact: sql::digest(row, "artifact")?,
                replaced,
                runs,
            })
        },
    )?;
    let instances = instances::routed(session, app)?;
    Ok(Some(AppRoutes { app: row.name, generation: row.generation, live: row.live, deployments, instances }))
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
        self.write(move |session| {
            jobs::complete(session, &lease)?;
            let deployment = find(session, &subject(&lease)?)?;
            let below = top(session, &deployment.app)?.map(|top| top.id);
            activate(session, &deployment, below, "live", now)
        })
        .await
    }

    /// Moves the app's traffic back: to `target`, or to what was live before.
    pub async fn roll_back(
        &self,
        app: AppName,
        target: Option<DeploymentId>,
        once: Once<WentLive>,
        now: Timestamp,
    ) -> Result<Done<WentLive>, StoreError> {
        self.write_once(once, now, move |session| {
            apps::find(session, &app)?;
            let (deployment, below) = match target {
                None => below_top(session, &app)?,
                Some(id) => (target_of(session, &app, &id)?, top(session, &app)?.map(|top| top.id)),
            };
            let went_live = activate(session, &deployment, below, "live again (rollback)", now)?;
            session.execute(
                "UPDATE apps SET env_version = ?2 WHERE name = ?1",
                &params![app.as_str(), sql::signed(deployment.env_version)],
            )?;
            Ok(went_live)
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
