//! Instances: the rows that say which there should be, and what their workers say of them.
//!
//! Whoever plans reads an app's instances, decides, and writes what follows in one transaction, which is refused where
//! anything changed meanwhile. So any number of planners may be at work, and none starts what another has started.

use skylift_model::route::RoutedInstance;
use skylift_model::{AppName, DeploymentId, Digest, InstanceId, InstanceState, Timestamp};

use crate::deployments::find;
use crate::idempotency::{Done, Once};
use crate::session::{Row, Session, params};
use crate::{Store, StoreError, apps, env, sql};

/// How many instances that have ended are kept for each app, to be looked at.
const ENDED_KEPT: u32 = 50;

/// An instance as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRow {
    pub id: InstanceId,
    pub app: AppName,
    pub deployment: DeploymentId,
    /// The node it runs on.
    pub node: String,
    pub state: InstanceState,
    /// Whether the app's own address leads to it once it is ready.
    pub serves: bool,
    pub created_at: Timestamp,
    pub ready_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Why it ended, in words.
    pub reason: Option<String>,
}

/// What a worker needs to know of one of its instances.
#[derive(Clone, Debug)]
pub struct InstanceInput {
    pub instance: InstanceRow,
    /// The digest of the [`skylift_model::Program`] to run.
    pub program: Digest,
    /// The sealed environment of its deployment.
    pub env: Option<Vec<u8>>,
    /// The app's number.
    pub slot: u64,
}

/// What there is of an app, as its planner sees it.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub app: AppName,
    /// What is live, where that runs.
    pub live: Option<DeploymentId>,
    /// What is about to go live, where that runs.
    pub next: Option<DeploymentId>,
    /// How many instances there should be.
    pub wanted: u32,
    /// Those that have not ended, oldest first.
    pub instances: Vec<InstanceRow>,
    /// Instances that ended by themselves lately, newest first.
    pub crashes: Vec<Crash>,
}

/// An instance that ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    pub deployment: DeploymentId,
    pub at: Timestamp,
    /// Why, in words.
    pub reason: String,
}

/// Changes to an app's instances, made together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// To be started: of which deployment, on which node.
    pub start: Vec<(DeploymentId, String)>,
    /// To get nothing new.
    pub drain: Vec<InstanceId>,
    /// To be stopped.
    pub stop: Vec<InstanceId>,
}

impl Changes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start.is_empty() && self.drain.is_empty() && self.stop.is_empty()
    }
}

const SELECT: &str = "SELECT * FROM instances";

fn read(row: &Row<'_>) -> Result<InstanceRow, StoreError> {
    let state: String = row.get("state")?;
    Ok(InstanceRow {
        id: sql::parsed(row, "id")?,
        app: sql::parsed(row, "app")?,
        deployment: sql::parsed(row, "deployment")?,
        node: row.get("node")?,
        state: InstanceState::from_name(&state).ok_or_else(|| StoreError::Damaged(format!("state {state:?}")))?,
        serves: row.get::<i64>("serves")? != 0,
        created_at: sql::time(row, "created_ms")?,
        ready_at: sql::time_maybe(row, "ready_ms")?,
        ended_at: sql::time_maybe(row, "ended_ms")?,
        reason: row.get("reason")?,
    })
}

fn running(session: &Session, app: &AppName) -> Result<Vec<InstanceRow>, StoreError> {
    let sql = format!("{SELECT} WHERE app = ?1 AND state != 'ended' ORDER BY id");
    session.all(&sql, &params![app.as_str()], read)
}

/// Those that the edge is to know of.
pub(crate) fn routed(session: &Session, app: &AppName) -> Result<Vec<RoutedInstance>, StoreError> {
    let sql = format!("{SELECT} WHERE app = ?1 AND state IN ('ready', 'draining') ORDER BY id");
    session.all(&sql, &params![app.as_str()], |row| {
        let row = read(row)?;
        Ok(RoutedInstance {
            id: row.id,
            deployment: row.deployment,
            node: row.node,
            serving: row.serves,
            draining: row.state == InstanceState::Draining,
        })
    })
}

/// Moves an instance on. `false` where its life does not allow that, or it is gone.
fn change(session: &Session, id: &InstanceId, next: InstanceState, now: Timestamp) -> Result<bool, StoreError> {
    let found = session.first(&format!("{SELECT} WHERE id = ?1"), &params![id.as_str()], read)?;
    let Some(row) = found.filter(|row| row.state.may_become(next)) else { return Ok(false) };
    let ready = (next == InstanceState::Ready).then(|| now.as_millis());
    let ended = (next == InstanceState::Ended).then(|| now.as_millis());
    session.execute(
        "UPDATE instances SET state = ?2, ready_ms = COALESCE(ready_ms, ?3), ended_ms = ?4 WHERE id = ?1",
        &params![id.as_str(), next.as_str(), ready, ended],
    )?;
    let was_routed = matches!(row.state, InstanceState::Ready | InstanceState::Draining);
    if was_routed || next == InstanceState::Ready {
        routes_changed(session, &row.app)?;
    }
    Ok(true)
}

/// Every change of an app's routes has a number, so that it can be told which of them an edge serves.
fn routes_changed(session: &Session, app: &AppName) -> Result<(), StoreError> {
    session.execute("UPDATE apps SET generation = generation + 1 WHERE name = ?1", &params![app.as_str()])?;
    Ok(())
}

fn fleet(session: &Session, app: &AppName, crashes_since: Timestamp) -> Result<Fleet, StoreError> {
    let row = apps::find(session, app)?;
    let live = match row.live {
        Some(live) => Some(find(session, &live)?).filter(|live| live.runs).map(|live| live.id),
        None => None,
    };
    let next = session.first(
        "SELECT id FROM deployments WHERE app = ?1 AND state = 'deploying' AND runs = 1 ORDER BY id LIMIT 1",
        &params![app.as_str()],
        |row| sql::parsed(row, "id"),
    )?;
    let crashes = session.all(
        "SELECT deployment, ended_ms, reason FROM instances WHERE app = ?1 AND state = 'ended' AND reason IS NOT NULL
         AND ended_ms >= ?2 ORDER BY ended_ms DESC",
        &params![app.as_str(), crashes_since.as_millis()],
        |row| {
            let (deployment, at) = (sql::parsed(row, "deployment")?, sql::time(row, "ended_ms")?);
            Ok(Crash { deployment, at, reason: row.get("reason")? })
        },
    )?;
    Ok(Fleet { app: row.name, live, next, wanted: row.instances, instances: running(session, app)?, crashes })
}

impl Store {
    /// What there is of an app, for its planner. `crashes_since` bounds how far it looks back.
    pub async fn fleet(&self, app: AppName, crashes_since: Timestamp) -> Result<Fleet, StoreError> {
        self.read(move |session| fleet(session, &app, crashes_since)).await
    }

    /// Every app that runs, is about to, or has instances left.
    pub async fn apps_that_run(&self) -> Result<Vec<AppName>, StoreError> {
        self.read(|session| {
            session.all(
                "SELECT name FROM apps WHERE
                 EXISTS (SELECT 1 FROM instances WHERE instances.app = apps.name AND instances.state != 'ended')
                 OR EXISTS (SELECT 1 FROM activations, deployments WHERE activations.id = apps.activation
                     AND deployments.id = activations.deployment AND deployments.runs = 1)
                 ORDER BY name",
                &[],
                |row| sql::parsed(row, "name"),
            )
        })
        .await
    }

    /// Makes changes to the instances of an app that were planned for `seen`. Returns the generation of its routes then;
    /// `None` where its instances are others by now: look again.
    pub async fn change_instances(
        &self,
        seen: Fleet,
        changes: Changes,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        self.write(move |session| {
            if running(session, &seen.app)? != seen.instances {
                return Ok(None);
            }
            for (deployment, node) in &changes.start {
                let id = InstanceId::new(now, sql::random()?);
                session.execute(
                    "INSERT INTO instances (id, app, deployment, node, state, serves, created_ms)
                     VALUES (?1, ?2, ?3, ?4, 'starting', 1, ?5)",
                    &params![id.as_str(), seen.app.as_str(), deployment.as_str(), node, now.as_millis()],
                )?;
            }
            for id in &changes.drain {
                change(session, id, InstanceState::Draining, now)?;
            }
            for id in &changes.stop {
                change(session, id, InstanceState::Stopping, now)?;
            }
            Ok(Some(apps::find(session, &seen.app)?.generation))
        })
        .await
    }

    /// A worker says that an instance answers. `false` where it is to be stopped, or unknown.
    pub async fn instance_ready(&self, id: InstanceId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |session| change(session, &id, InstanceState::Ready, now)).await
    }

    /// Has a drained instance stopped by its worker.
    pub async fn stop_instance(&self, id: InstanceId, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| change(session, &id, InstanceState::Stopping, now).map(|_| ())).await
    }

    /// A worker says that an instance runs no longer. `reason` where it ended by itself.
    pub async fn instance_ended(
        &self,
        id: InstanceId,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |session| {
            if change(session, &id, InstanceState::Ended, now)? {
                session.execute(
                    "UPDATE instances SET reason = ?2 WHERE id = ?1",
                    &params![id.as_str(), reason.as_ref()],
                )?;
            }
            session.execute(
                "DELETE FROM instances WHERE id IN (SELECT id FROM (
                     SELECT id, ROW_NUMBER() OVER (PARTITION BY app ORDER BY ended_ms DESC, id DESC) AS age
                     FROM instances WHERE state = 'ended'
                     AND app = (SELECT app FROM instances WHERE id = ?1)) AS ended WHERE age > ?2)",
                &params![id.as_str(), ENDED_KEPT],
            )?;
            Ok(())
        })
        .await
    }

    /// The instances that a node is to run or to stop, with what its worker needs for that.
    pub async fn instances_on(&self, node: String) -> Result<Vec<InstanceInput>, StoreError> {
        self.read(move |session| {
            let sql = format!("{SELECT} WHERE node = ?1 AND state != 'ended' ORDER BY id");
            let rows = session.all(&sql, &params![&node], read)?;
            let mut inputs = Vec::with_capacity(rows.len());
            for instance in rows {
                let deployment = find(session, &instance.deployment)?;
                let program = deployment.artifact.ok_or_else(|| {
                    StoreError::Damaged(format!(
                        "instance {} runs {}, which has no artifact",
                        instance.id, deployment.id
                    ))
                })?;
                let env = env::sealed(session, &instance.app, deployment.env_version)?;
                let slot = apps::find(session, &instance.app)?.slot;
                inputs.push(InstanceInput { instance, program, env, slot });
            }
            Ok(inputs)
        })
        .await
    }

    /// The instances of an app, oldest first: those that run, and the last that ended.
    pub async fn instances(&self, app: AppName) -> Result<Vec<InstanceRow>, StoreError> {
        self.read(move |session| {
            apps::find(session, &app)?;
            session.all(&format!("{SELECT} WHERE app = ?1 ORDER BY id"), &params![app.as_str()], read)
        })
        .await
    }

    /// Sets how many instances of an app there should be.
    pub async fn set_instances(
        &self,
        app: AppName,
        wanted: u32,
        once: Once<u32>,
        now: Timestamp,
    ) -> Result<Done<u32>, StoreError> {
        self.write_once(once, now, move |session| {
            apps::find(session, &app)?;
            session.execute("UPDATE apps SET instances = ?2 WHERE name = ?1", &params![app.as_str(), wanted])?;
            Ok(wanted)
        })
        .await
    }
}
