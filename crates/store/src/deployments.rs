//! Deployments, from the request to their end. What is built of them is in `builds`.

use skylift_model::plan::Plan;
use skylift_model::source::Source;
use skylift_model::wire::Failure;
use skylift_model::{AppName, DeploymentId, DeploymentState, Digest, Manifest, Timestamp, UploadId};

use crate::error::{Conflict, Missing};
use crate::idempotency::{Done, Once};
use crate::jobs::{self, JobKind, Lease};
use crate::log::{add_event, add_line};
use crate::session::{Row, Session, params};
use crate::{Store, StoreError, apps, rollouts, sql, uploads};

/// A deployment as stored.
#[derive(Clone, Debug)]
pub struct DeploymentRow {
    pub id: DeploymentId,
    pub app: AppName,
    pub state: DeploymentState,
    pub source: Source,
    pub dir: Option<String>,
    pub upload: Option<UploadId>,
    pub plan: Option<Plan>,
    pub artifact: Option<Digest>,
    /// Whether the artifact is a program, with instances, and not a site.
    pub runs: bool,
    /// Whether its release command has come to a good end.
    pub released: bool,
    pub env_version: u64,
    pub failure: Option<Failure>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// How many builds are before it, while it is queued.
    pub queue_position: Option<u64>,
}

/// What somebody asks to deploy.
#[derive(Clone, Debug)]
pub struct NewDeployment {
    pub app: AppName,
    pub source: Source,
    pub dir: Option<String>,
    /// The bytes, where they were sent; a Git source's are fetched later.
    pub bytes: SentBytes,
    /// The sealed secret of a Git source.
    pub secret: Option<Vec<u8>>,
}

/// Which bytes a new deployment is made of.
#[derive(Clone, Debug)]
pub enum SentBytes {
    /// An upload of this app, complete by now.
    Upload(UploadId),
    /// An archive, unpacked and stored by now; the digest names its manifest's blob.
    Archive(Digest, Manifest),
    /// None yet.
    None,
}

/// A deployment that was accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub deployment: DeploymentRow,
    /// Those that waited and will not be built, since this one is newer.
    pub superseded: Vec<DeploymentId>,
    /// The one whose rollout was aborted for this one.
    pub aborted: Option<DeploymentId>,
}

const SELECT: &str = "SELECT deployments.*,
     CASE WHEN deployments.state = 'queued' THEN
         (SELECT COUNT(*) FROM jobs AS other, jobs AS mine WHERE mine.subject = deployments.id
          AND other.kind = 'build' AND other.state != 'dead' AND other.id != mine.id
          AND (other.state = 'leased' OR other.id < mine.id))
     END AS position FROM deployments";

fn read(row: &Row<'_>) -> Result<DeploymentRow, StoreError> {
    let state: String = row.get("state")?;
    let source: String = row.get("source")?;
    let artifact: Option<[u8; 32]> = row.get("artifact")?;
    Ok(DeploymentRow {
        id: sql::parsed(row, "id")?,
        app: sql::parsed(row, "app")?,
        state: DeploymentState::from_name(&state).ok_or_else(|| StoreError::Damaged(format!("state {state:?}")))?,
        source: serde_json::from_str(&source)?,
        dir: row.get("dir")?,
        upload: sql::parsed_maybe(row, "upload")?,
        plan: sql::json_maybe(row, "plan")?,
        artifact: artifact.map(Digest::from_bytes),
        runs: row.get::<i64>("runs")? != 0,
        released: row.get::<i64>("released")? != 0,
        env_version: sql::count(row, "env_version")?,
        failure: sql::json_maybe(row, "failure")?,
        created_at: sql::time(row, "created_ms")?,
        started_at: sql::time_maybe(row, "started_ms")?,
        finished_at: sql::time_maybe(row, "finished_ms")?,
        queue_position: row.get::<Option<i64>>("position")?.map(|n| u64::try_from(n).unwrap_or(0)),
    })
}

/// What [`find`] asks, of an id.
pub(crate) fn question() -> String {
    format!("{SELECT} WHERE id = ?1")
}

pub(crate) fn find(session: &Session, id: &DeploymentId) -> Result<DeploymentRow, StoreError> {
    session
        .first(&question(), &params![id.as_str()], read)?
        .ok_or_else(|| StoreError::NotFound(Missing::Deployment(id.clone())))
}

/// What is live of an app.
pub(crate) fn live_of(session: &Session, app: &AppName) -> Result<Option<DeploymentRow>, StoreError> {
    apps::find(session, app)?.live.map(|live| find(session, &live)).transpose()
}

/// Moves a deployment to `next`, where its life allows that, and tells it as an event.
pub(crate) fn change_state(
    session: &Session,
    id: &DeploymentId,
    next: DeploymentState,
    message: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let current = find(session, id)?.state;
    if !current.may_become(next) {
        return Err(Conflict::Transition { deployment: id.clone(), current, next }.into());
    }
    let (started, finished) = match next {
        DeploymentState::Building => (Some(now.as_millis()), None),
        DeploymentState::Queued | DeploymentState::Deploying | DeploymentState::Previous => (None, None),
        _ => (None, Some(now.as_millis())),
    };
    session.execute(
        "UPDATE deployments SET state = ?2, started_ms = COALESCE(started_ms, ?3),
         finished_ms = COALESCE(finished_ms, ?4) WHERE id = ?1",
        &params![id.as_str(), next.as_str(), started, finished],
    )?;
    add_event(session, id, next, message, now)?;
    match next {
        DeploymentState::Failed | DeploymentState::Cancelled => rollouts::take_back(session, id, message, now),
        _ => Ok(()),
    }
}

/// Deployments of the app that no builder has begun are overtaken by a newer one.
fn supersede_queued(
    session: &Session,
    app: &AppName,
    by: &DeploymentId,
    now: Timestamp,
) -> Result<Vec<DeploymentId>, StoreError> {
    let overtaken: Vec<DeploymentId> = session.all(
        "SELECT id FROM deployments WHERE app = ?1 AND state = 'queued' AND id != ?2",
        &params![app.as_str(), by.as_str()],
        |row| sql::parsed(row, "id"),
    )?;
    for id in &overtaken {
        change_state(session, id, DeploymentState::Superseded, &format!("superseded by {by}"), now)?;
        let why = format!("superseded by {by}, a newer deployment of {app}, before its build began");
        add_line(session, id, "build", &why, now)?;
        jobs::withdraw(session, id)?;
    }
    Ok(overtaken)
}

fn insert(session: &Session, new: &NewDeployment, now: Timestamp) -> Result<DeploymentId, StoreError> {
    let app = apps::find(session, &new.app)?;
    let upload = match &new.bytes {
        SentBytes::Upload(id) => {
            uploads::require_complete(session, &new.app, id)?;
            Some(id.clone())
        }
        SentBytes::Archive(digest, manifest) => {
            Some(uploads::insert_complete(session, &new.app, digest, manifest, now)?)
        }
        SentBytes::None => None,
    };
    // Of those that came together, too, the newest by its id is the one that is built last.
    let at = session.one(
        "SELECT CASE WHEN MAX(created_ms) >= ?2 THEN MAX(created_ms) + 1 ELSE ?2 END AS at_ms FROM deployments WHERE app = ?1",
        &params![new.app.as_str(), now.as_millis()],
        |row| sql::time(row, "at_ms"),
    )?;
    let id = DeploymentId::new(at, sql::random()?);
    session.execute(
        "INSERT INTO deployments (id, app, state, source, dir, upload, secret, env_version, created_ms)
         VALUES (?1, ?2, 'queued', ?3, ?4, ?5, ?6, ?7, ?8)",
        &params![
            id.as_str(),
            new.app.as_str(),
            &serde_json::to_string(&new.source)?,
            new.dir.as_ref(),
            upload.as_ref().map(UploadId::as_str),
            new.secret.as_ref(),
            sql::signed(app.env_version),
            at.as_millis()
        ],
    )?;
    if upload.is_some() {
        jobs::enqueue_commit(session, &new.app, now)?;
    }
    Ok(id)
}

impl Store {
    /// Accepts a deployment: its row, its build job and the end of older ones that wait are one transaction.
    pub async fn create_deployment(
        &self,
        new: NewDeployment,
        once: Once<Accepted>,
        now: Timestamp,
    ) -> Result<Done<Accepted>, StoreError> {
        self.write_once(once, now, move |session| {
            let id = insert(session, &new, now)?;
            add_event(session, &id, DeploymentState::Queued, "queued", now)?;
            let superseded = supersede_queued(session, &new.app, &id, now)?;
            let aborted = rollouts::supersede(session, &new.app, &id, now)?;
            jobs::enqueue(session, JobKind::Build, &jobs::deploy_lane(&new.app), id.as_str(), now)?;
            Ok(Accepted { deployment: find(session, &id)?, superseded, aborted })
        })
        .await
    }

    /// One deployment.
    pub async fn deployment(&self, id: DeploymentId) -> Result<DeploymentRow, StoreError> {
        self.read(move |session| find(session, &id)).await
    }

    /// Deployments, newest first; of one app where one is given.
    pub async fn deployments(&self, app: Option<AppName>, limit: u32) -> Result<Vec<DeploymentRow>, StoreError> {
        self.read(move |session| {
            if let Some(app) = &app {
                apps::find(session, app)?;
            }
            let app = app.as_ref().map(AppName::as_str);
            let sql = format!("{SELECT} WHERE CAST(?1 AS TEXT) IS NULL OR app = ?1 ORDER BY id DESC LIMIT ?2");
            session.all(&sql, &params![app, limit], read)
        })
        .await
    }

    /// Ends a deployment with a reason. What is live stays live. Insists where the disk or the server does not take it.
    pub async fn fail_deployment(&self, lease: Lease, failure: Failure, now: Timestamp) -> Result<(), StoreError> {
        self.insist(move |session| {
            jobs::complete(session, &lease)?;
            fail(session, &subject(&lease)?, &failure, now)
        })
        .await
    }

    /// Ends the deployment of a job that was given up. The dead job stays, for replay. A deployment that ended
    /// otherwise meanwhile is left as it is.
    pub async fn fail_abandoned(&self, id: DeploymentId, failure: Failure, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| {
            if find(session, &id)?.state.is_settled() {
                return Ok(());
            }
            add_line(session, &id, &failure.step, &format!("failed: {}", failure.message), now)?;
            fail(session, &id, &failure, now)
        })
        .await
    }

    /// Cancels a deployment; whoever works on it loses the lease. [`Conflict::Settled`] where it had ended before.
    pub async fn cancel_deployment(
        &self,
        id: DeploymentId,
        once: Once<DeploymentRow>,
        now: Timestamp,
    ) -> Result<Done<DeploymentRow>, StoreError> {
        self.write_once(once, now, move |session| {
            let state = find(session, &id)?.state;
            if state.is_settled() {
                return Err(Conflict::Settled { deployment: id, state }.into());
            }
            change_state(session, &id, DeploymentState::Cancelled, "cancelled by the owner", now)?;
            add_line(session, &id, "build", "cancelled by the owner", now)?;
            session.execute("UPDATE deployments SET secret = NULL WHERE id = ?1", &params![id.as_str()])?;
            jobs::withdraw(session, &id)?;
            find(session, &id)
        })
        .await
    }
}

pub(crate) fn fail(session: &Session, id: &DeploymentId, failure: &Failure, now: Timestamp) -> Result<(), StoreError> {
    let message = format!("failed in step `{}`: {}", failure.step, failure.message);
    change_state(session, id, DeploymentState::Failed, &message, now)?;
    session.execute(
        "UPDATE deployments SET failure = ?2, secret = NULL WHERE id = ?1",
        &params![id.as_str(), &serde_json::to_string(failure)?],
    )?;
    Ok(())
}

pub(crate) fn subject(lease: &Lease) -> Result<DeploymentId, StoreError> {
    lease.subject.parse().map_err(|_| StoreError::Damaged(format!("job subject {:?}", lease.subject)))
}
