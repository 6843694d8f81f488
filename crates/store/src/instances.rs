//! Instances: the rows that say which there should be, and what their workers say of them.

use skylift_model::net::NetRules;
use skylift_model::program::{RELEASE, WEB};
use skylift_model::route::RoutedInstance;
use skylift_model::{AppName, DeploymentId, Digest, InstanceId, InstanceState, Template, Timestamp};

use crate::app_databases::{self, DatabaseRow};
use crate::deployments::find;
use crate::session::{Row, Session, params};
use crate::templates::TemplateRow;
use crate::volumes::VolumeRow;
use crate::{Store, StoreError, apps, env, rollouts, sql, templates, volumes};

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
    /// The line of the Procfile that it runs: `web` answers requests.
    pub process: String,
    pub created_at: Timestamp,
    pub ready_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Why it ended, in words; while it starts, why it is not ready yet.
    pub reason: Option<String>,
    /// The code that its process exited with, as shells tell it.
    pub exit_code: Option<i32>,
    /// What it runs in place of its process: its owner's command, once.
    pub command: Option<Vec<String>>,
    /// The number of the template that it was started from.
    pub template: Option<u64>,
    /// Since when checks say that it does not answer as it should, where they do.
    pub unhealthy_since: Option<Timestamp>,
}

impl InstanceRow {
    /// Whether requests may be led to it.
    pub fn is_web(&self) -> bool {
        self.process == WEB
    }

    /// What its lines in its deployment's log are called.
    pub fn log_step(&self) -> &str {
        if self.process == RELEASE { RELEASE } else { self.id.as_str() }
    }
}

/// How an instance ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Why, in words, where it was not told to and did not come to the end it was to come to.
    pub reason: Option<String>,
    /// The code that its process exited with, where it was not told to end; as shells tell it, also where it was killed.
    pub exit_code: Option<i32>,
}

/// What a worker needs to know of one of its instances.
#[derive(Clone, Debug)]
pub struct InstanceInput {
    pub instance: InstanceRow,
    /// The digest of the [`skylift_model::Program`] to run.
    pub program: Digest,
    /// What it is to be started from, as it was written down then.
    pub template: Option<Template>,
    /// The sealed environment that its template names.
    pub env: Option<Vec<u8>>,
    /// The app's number.
    pub slot: u64,
    /// The rules for its app's network that were set by command.
    pub net: NetRules,
    /// The app's volumes, oldest first.
    pub volumes: Vec<VolumeRow>,
    /// The app's databases on the owner's server, oldest first.
    pub databases: Vec<DatabaseRow>,
}

pub(crate) const SELECT: &str = "SELECT * FROM instances";

pub(crate) fn read(row: &Row<'_>) -> Result<InstanceRow, StoreError> {
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
        process: row.get("process")?,
        reason: row.get("reason")?,
        exit_code: row.get::<Option<i64>>("exit_code")?.and_then(|code| i32::try_from(code).ok()),
        command: sql::json_maybe(row, "command")?,
        template: row.get::<Option<i64>>("template")?.and_then(|version| u64::try_from(version).ok()),
        unhealthy_since: sql::time_maybe(row, "unhealthy_ms")?,
    })
}

/// Those that answer requests and have not ended.
pub(crate) fn of_web(session: &Session, app: &AppName) -> Result<Vec<InstanceRow>, StoreError> {
    let sql = format!("{SELECT} WHERE app = ?1 AND process = ?2 AND state != 'ended' ORDER BY id");
    session.all(&sql, &params![app.as_str(), WEB], read)
}

/// Those that the edge is to know of.
/// What [`routed`] asks, of an app and [`WEB`].
pub(crate) const ROUTED: &str =
    "SELECT * FROM instances WHERE app = ?1 AND process = ?2 AND state IN ('ready', 'draining') ORDER BY id";

pub(crate) fn routed(session: &Session, app: &AppName) -> Result<Vec<RoutedInstance>, StoreError> {
    session.all(ROUTED, &params![app.as_str(), WEB], |row| {
        let row = read(row)?;
        Ok(RoutedInstance {
            id: row.id,
            deployment: row.deployment,
            node: row.node,
            serving: row.serves,
            draining: row.state == InstanceState::Draining,
            unhealthy: row.unhealthy_since.is_some(),
        })
    })
}

/// Moves an instance on. `false` where its life does not allow that, or it is gone.
pub(crate) fn change(
    session: &Session,
    id: &InstanceId,
    next: InstanceState,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let found = session.first(&format!("{SELECT} WHERE id = ?1"), &params![id.as_str()], read)?;
    let Some(row) = found.filter(|row| row.state.may_become(next)) else { return Ok(false) };
    let ready = (next == InstanceState::Ready).then(|| now.as_millis());
    let ended = (next == InstanceState::Ended).then(|| now.as_millis());
    session.execute(
        "UPDATE instances SET state = ?2, ready_ms = COALESCE(ready_ms, ?3), ended_ms = ?4,
         reason = CASE WHEN unhealthy_ms IS NULL THEN NULL ELSE reason END WHERE id = ?1",
        &params![id.as_str(), next.as_str(), ready, ended],
    )?;
    let was_routed = matches!(row.state, InstanceState::Ready | InstanceState::Draining);
    if row.is_web() && (was_routed || next == InstanceState::Ready) {
        routes_changed(session, &row.app)?;
    }
    Ok(true)
}

pub(crate) fn insert(
    session: &Session,
    app: &AppName,
    deployment: &DeploymentId,
    process: &str,
    on: (&str, &TemplateRow),
    now: Timestamp,
) -> Result<InstanceId, StoreError> {
    let (node, TemplateRow { version, template, .. }) = on;
    let takes = template.instance.takes();
    let id = InstanceId::new(now, sql::random()?);
    session.execute(
        "INSERT INTO instances (id, app, deployment, node, state, serves, process, created_ms, template, memory_bytes,
         cpu_millicores) VALUES (?1, ?2, ?3, ?4, 'starting', ?5, ?6, ?7, ?8, ?9, ?10)",
        &params![
            id.as_str(),
            app.as_str(),
            deployment.as_str(),
            node,
            i64::from(process == WEB && rollouts::serves(session, deployment)?),
            process,
            now.as_millis(),
            sql::signed(*version),
            sql::signed(takes.memory_bytes),
            sql::signed(takes.cpu_millicores)
        ],
    )?;
    Ok(id)
}

/// Every change of an app's routes has a number, so that it can be told which of them an edge serves.
pub(crate) fn routes_changed(session: &Session, app: &AppName) -> Result<(), StoreError> {
    session.execute("UPDATE apps SET generation = generation + 1 WHERE name = ?1", &params![app.as_str()])?;
    Ok(())
}

impl Store {
    /// A worker says that an instance answers. `false` where it is to be stopped, or unknown.
    pub async fn instance_ready(&self, id: InstanceId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |session| change(session, &id, InstanceState::Ready, now)).await
    }

    /// A worker says what keeps an instance that starts from being ready. `false` where that is known, or it starts no longer.
    pub async fn instance_unready(&self, id: InstanceId, why: String) -> Result<bool, StoreError> {
        self.write(move |session| {
            let changed = session.execute(
                "UPDATE instances SET reason = ?2 WHERE id = ?1 AND state = 'starting' AND COALESCE(reason, '') != ?2",
                &params![id.as_str(), &why],
            )?;
            Ok(changed == 1)
        })
        .await
    }

    /// A worker says whether checks of an instance that was ready fail, and why. `false` where that is known, or it is ready no longer.
    /// Why one failed that is replaced for it is the reason of its end.
    pub async fn instance_checked(
        &self,
        id: InstanceId,
        why: Option<String>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(move |session| {
            let is_unhealthy = why.is_some();
            let since = is_unhealthy.then(|| now.as_millis());
            let changed = session.execute(
                "UPDATE instances SET unhealthy_ms = ?2, reason = ?4 WHERE id = ?1 AND state = 'ready'
                 AND (CASE WHEN unhealthy_ms IS NULL THEN 0 ELSE 1 END) = ?3",
                &params![id.as_str(), since, i64::from(!is_unhealthy), why.as_ref()],
            )?;
            if changed == 1 {
                session.execute(
                    "UPDATE apps SET generation = generation + 1
                     WHERE name = (SELECT app FROM instances WHERE id = ?1)",
                    &params![id.as_str()],
                )?;
            }
            Ok(changed == 1)
        })
        .await
    }

    /// Has a drained instance stopped by its worker.
    pub async fn stop_instance(&self, id: InstanceId, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| change(session, &id, InstanceState::Stopping, now).map(|_| ())).await
    }

    /// A worker says that an instance runs no longer. A release command that came to a good end is noted with its
    /// deployment, for which it never runs again.
    pub async fn instance_ended(&self, id: InstanceId, end: End, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| {
            if change(session, &id, InstanceState::Ended, now)? {
                session.execute(
                    "UPDATE instances SET reason = COALESCE(?2, reason), exit_code = ?3 WHERE id = ?1",
                    &params![id.as_str(), end.reason.as_ref(), end.exit_code.map(i64::from)],
                )?;
                session.execute(
                    "UPDATE deployments SET released = 1 WHERE id =
                     (SELECT deployment FROM instances WHERE id = ?1 AND process = ?2 AND exit_code = 0)",
                    &params![id.as_str(), RELEASE],
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
                let version = instance.template.unwrap_or_default();
                let template = templates::with_version(session, &instance.app, version)?.map(|row| row.template);
                let env_version = template.as_ref().map_or(deployment.env_version, |own| own.environment.version);
                let env = env::sealed(session, &instance.app, env_version)?;
                let app = apps::find(session, &instance.app)?;
                let volumes = volumes::of(session, &instance.app)?;
                let databases = app_databases::of(session, &instance.app)?;
                let (slot, net) = (app.slot, app.net);
                inputs.push(InstanceInput { instance, program, template, env, slot, net, volumes, databases });
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
}
