//! Leased work.
//!
//! ```text
//!  ready ──lease──▶ leased ──effect committed with its fence──▶ (row gone)
//!    ▲                │
//!    └─ expired, ─────┤
//!       or retried    └──▶ dead (attempts used up) ──replay──▶ ready
//! ```
//!
//! Jobs of one lane run one after the other; deploys before builds, then oldest first.

mod lease;

use skylift_durable::{Defence, left_out};
use skylift_model::{AppName, DeploymentId, DeploymentState, JobId, Timestamp};

use crate::deployments::change_state;
use crate::error::{Conflict, Missing};
use crate::idempotency::{Done, Once};
use crate::log::add_line;
use crate::session::{Row, Session, params};
use crate::{Store, StoreError, sql};

pub use lease::Lease;
pub(crate) use lease::{complete, progressed, require};

/// How often a job is tried before it is given up.
const ATTEMPTS_MAX: u32 = 3;
/// What is noted of a job whose lease ran out.
const LOST: &str = "the worker stopped answering";

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Turns a deployment's source into its artifact.
    Build,
    /// Moves traffic to a deployment.
    Deploy,
    /// Commits an app's new uploads to its Git repository.
    Commit,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Build, Self::Deploy, Self::Commit];

    /// The kind's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Deploy => "deploy",
            Self::Commit => "commit",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A job as stored.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: JobId,
    /// What it does; `None` where only a newer version knows. Such a job waits for that.
    pub kind: Option<JobKind>,
    /// The name of its kind.
    pub kind_name: String,
    pub subject: String,
    pub state: String,
    pub attempts: u64,
    pub error: Option<String>,
    pub created_at: Timestamp,
}

/// How many jobs of a kind there are.
#[derive(Clone, Copy, Debug)]
pub struct JobCounts {
    pub kind: JobKind,
    pub ready: u64,
    pub leased: u64,
    pub dead: u64,
    /// When the oldest ready one was queued.
    pub oldest_ready: Option<Timestamp>,
}

fn read(row: &Row<'_>) -> Result<Job, StoreError> {
    let kind_name: String = row.get("kind")?;
    Ok(Job {
        id: sql::parsed(row, "id")?,
        kind: JobKind::from_name(&kind_name),
        kind_name,
        subject: row.get("subject")?,
        state: row.get("state")?,
        attempts: sql::count(row, "attempts")?,
        error: row.get("error")?,
        created_at: sql::time(row, "created_ms")?,
    })
}

/// The lane of an app's builds and deploys.
pub(crate) fn deploy_lane(app: &AppName) -> String {
    format!("deploy/{app}")
}

/// Queues a job in the caller's transaction, behind those of its lane even where the clock was set back since.
pub(crate) fn enqueue(
    session: &Session,
    kind: JobKind,
    lane: &str,
    subject: &str,
    now: Timestamp,
) -> Result<JobId, StoreError> {
    let id = JobId::new(now, sql::random()?);
    session.execute(
        "INSERT INTO jobs (id, kind, lane, subject, created_ms, visible_ms, attempts_max)
         VALUES (?1, ?2, ?3, ?4,
             (SELECT CASE WHEN MAX(created_ms) >= ?5 THEN MAX(created_ms) + 1 ELSE ?5 END FROM jobs WHERE lane = ?3),
             ?5, ?6)",
        &params![id.as_str(), kind.as_str(), lane, subject, now.as_millis(), ATTEMPTS_MAX],
    )?;
    Ok(id)
}

/// Which attempt this is and why the one before was none, such as `attempt 2 of 3: the builder was lost`. An error of
/// the platform's own is for its owner's log, not for an app's.
pub(crate) fn attempt_text(session: &Session, lease: &Lease) -> Result<String, StoreError> {
    let error = session.first("SELECT error FROM jobs WHERE id = ?1", &params![lease.job.as_str()], |row| {
        row.get::<Option<String>>("error")
    })?;
    let was_lost = error.flatten().is_none_or(|error| error == LOST);
    let why = if was_lost { "the builder was lost" } else { "the platform failed, not the build" };
    Ok(format!("attempt {} of {ATTEMPTS_MAX}: {why}", lease.attempt))
}

/// Removes whatever is queued or running about a subject; leases on it are lost.
pub(crate) fn withdraw(session: &Session, subject: &DeploymentId) -> Result<(), StoreError> {
    if !left_out(Defence::Withdraw) {
        session.execute("DELETE FROM jobs WHERE subject = ?1", &params![subject.as_str()])?;
    }
    Ok(())
}

impl Store {
    /// How many jobs there are, by kind.
    pub async fn job_counts(&self) -> Result<Vec<JobCounts>, StoreError> {
        self.read(|session| {
            JobKind::ALL
                .into_iter()
                .map(|kind| {
                    let counts = session.first(
                        "SELECT COUNT(*) FILTER (WHERE state = 'ready') AS ready,
                         COUNT(*) FILTER (WHERE state = 'leased') AS leased,
                         COUNT(*) FILTER (WHERE state = 'dead') AS dead,
                         MIN(created_ms) FILTER (WHERE state = 'ready') AS oldest FROM jobs WHERE kind = ?1",
                        &params![kind.as_str()],
                        |row| {
                            Ok(JobCounts {
                                kind,
                                ready: sql::count(row, "ready")?,
                                leased: sql::count(row, "leased")?,
                                dead: sql::count(row, "dead")?,
                                oldest_ready: sql::time_maybe(row, "oldest")?,
                            })
                        },
                    )?;
                    counts.ok_or_else(|| StoreError::Damaged("no counts".to_owned()))
                })
                .collect()
        })
        .await
    }

    /// Jobs, newest first; only those in `state` where one is given.
    pub async fn jobs(&self, state: Option<String>) -> Result<Vec<Job>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT * FROM jobs WHERE CAST(?1 AS TEXT) IS NULL OR state = ?1 ORDER BY id DESC LIMIT 500",
                &params![state.as_ref()],
                read,
            )
        })
        .await
    }

    /// Gives a dead job its attempts back; the deployment it is about takes up its life where it was given up.
    pub async fn replay(&self, id: JobId, once: Once<()>, now: Timestamp) -> Result<Done<()>, StoreError> {
        self.write_once(once, now, move |session| {
            let job =
                session.first("SELECT * FROM jobs WHERE id = ?1 AND state = 'dead'", &params![id.as_str()], read)?;
            let job = job.ok_or_else(|| StoreError::NotFound(Missing::DeadJob(id.clone())))?;
            let kind =
                job.kind.ok_or_else(|| Conflict::UnknownKind { job: id.clone(), kind: job.kind_name.clone() })?;
            session.execute(
                "UPDATE jobs SET state = 'ready', attempts = 0, visible_ms = ?2 WHERE id = ?1",
                &params![id.as_str(), now.as_millis()],
            )?;
            let again = match kind {
                JobKind::Build => DeploymentState::Queued,
                JobKind::Deploy => DeploymentState::Deploying,
                JobKind::Commit => return Ok(()),
            };
            let deployment = job.subject.parse().map_err(|_| StoreError::Damaged(format!("job {id}")))?;
            change_state(session, &deployment, again, "replayed", now)?;
            add_line(session, &deployment, kind.as_str(), "tried again by the owner", now)?;
            session.execute(
                "UPDATE deployments SET failure = NULL, finished_ms = NULL WHERE id = ?1",
                &params![deployment.as_str()],
            )?;
            Ok(())
        })
        .await
    }

    /// Queues the commit of an app's uploads, unless it is queued already.
    pub async fn enqueue_commit(&self, app: AppName, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| enqueue_commit(session, &app, now)).await
    }

    /// Deployments in work that no job is about any more but one that was given up, if any: whoever gave it up died
    /// before it had ended the deployment.
    pub async fn abandoned(&self) -> Result<Vec<(DeploymentId, JobKind)>, StoreError> {
        if left_out(Defence::Bury) {
            return Ok(Vec::new());
        }
        self.read(|session| {
            session.all(
                "SELECT id, state FROM deployments WHERE state IN ('queued', 'building', 'deploying')
                 AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.subject = deployments.id AND jobs.state != 'dead')",
                &[],
                |row| {
                    let is_built = row.get::<String>("state")? == DeploymentState::Deploying.as_str();
                    Ok((sql::parsed(row, "id")?, if is_built { JobKind::Deploy } else { JobKind::Build }))
                },
            )
        })
        .await
    }
}

/// Queues the commit of an app's uploads in the caller's transaction, unless one waits already.
pub(crate) fn enqueue_commit(session: &Session, app: &AppName, now: Timestamp) -> Result<(), StoreError> {
    let lane = format!("git/{app}");
    let waits = session.exists("SELECT 1 FROM jobs WHERE lane = ?1 AND state = 'ready'", &params![&lane])?;
    if !waits {
        enqueue(session, JobKind::Commit, &lane, app.as_str(), now)?;
    }
    Ok(())
}
