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

use std::time::Duration;

use rusqlite::{Connection, Row, params};
use skylift_model::{AppName, DeploymentId, DeploymentState, JobId, Timestamp};

use crate::deployments::change_state;
use crate::error::Missing;
use crate::idempotency::{Done, Once};
use crate::log::add_line;
use crate::{Store, StoreError, sql};

/// How often a job is tried before it is given up.
const ATTEMPTS_MAX: u32 = 3;
/// What is noted of a job whose lease ran out.
const LOST: &str = "the worker stopped answering";
/// How long after a lost lease the next attempt may start, doubled with each.
const RETRY_AFTER: Duration = Duration::from_secs(1);

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

/// Work held for a time. Whoever commits an effect of it shows this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub job: JobId,
    pub kind: JobKind,
    /// What the job is about: a deployment's id, or an app's name for commits.
    pub subject: String,
    /// Grows with every lease of the job.
    pub fence: u64,
    /// This attempt, from 1.
    pub attempt: u64,
}

/// A job as stored.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: JobId,
    pub kind: JobKind,
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

fn kind(row: &Row<'_>) -> Result<JobKind, StoreError> {
    let name: String = row.get("kind")?;
    JobKind::from_name(&name).ok_or_else(|| StoreError::Damaged(format!("job kind {name:?}")))
}

fn read(row: &Row<'_>) -> Result<Job, StoreError> {
    Ok(Job {
        id: sql::parsed(row, "id")?,
        kind: kind(row)?,
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

/// Queues a job in the caller's transaction.
pub(crate) fn enqueue(
    connection: &Connection,
    kind: JobKind,
    lane: &str,
    subject: &str,
    now: Timestamp,
) -> Result<JobId, StoreError> {
    let id = JobId::new(now, sql::random()?);
    connection.execute(
        "INSERT INTO jobs (id, kind, lane, subject, created_ms, visible_ms, attempts_max)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
        params![id.as_str(), kind.as_str(), lane, subject, now.as_millis(), ATTEMPTS_MAX],
    )?;
    Ok(id)
}

/// An error unless the lease is still held.
pub(crate) fn require(connection: &Connection, lease: &Lease) -> Result<(), StoreError> {
    let held = connection
        .prepare_cached("SELECT 1 FROM jobs WHERE id = ?1 AND fence = ?2 AND state = 'leased'")?
        .exists(params![lease.job.as_str(), sql::signed(lease.fence)])?;
    if held { Ok(()) } else { Err(StoreError::Fenced) }
}

/// Ends a job whose effect is in the caller's transaction.
pub(crate) fn complete(connection: &Connection, lease: &Lease) -> Result<(), StoreError> {
    require(connection, lease)?;
    connection.execute("DELETE FROM jobs WHERE id = ?1", [lease.job.as_str()])?;
    Ok(())
}

/// Which attempt this is and why the one before was none, such as `attempt 2 of 3: the builder was lost`. An error of
/// the platform's own is for its owner's log, not for an app's.
pub(crate) fn attempt_text(connection: &Connection, lease: &Lease) -> Result<String, StoreError> {
    let error = sql::first(connection, "SELECT error FROM jobs WHERE id = ?1", [lease.job.as_str()], |row| {
        Ok(row.get::<_, Option<String>>("error")?)
    })?;
    let was_lost = error.flatten().is_none_or(|error| error == LOST);
    let why = if was_lost { "the builder was lost" } else { "the platform failed, not the build" };
    Ok(format!("attempt {} of {ATTEMPTS_MAX}: {why}", lease.attempt))
}

/// Removes whatever is queued or running about a subject; leases on it are lost.
pub(crate) fn withdraw(connection: &Connection, subject: &DeploymentId) -> Result<(), StoreError> {
    connection.execute("DELETE FROM jobs WHERE subject = ?1", [subject.as_str()])?;
    Ok(())
}

/// Puts a lost or failed attempt back, or gives the job up.
fn put_back(
    connection: &Connection,
    id: &JobId,
    attempts: u64,
    error: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(10);
    let visible = now.plus(RETRY_AFTER * 2_u32.pow(doublings));
    connection.execute(
        "UPDATE jobs SET state = CASE WHEN attempts >= attempts_max THEN 'dead' ELSE 'ready' END,
         lease_until_ms = NULL, visible_ms = ?2, error = ?3 WHERE id = ?1",
        params![id.as_str(), visible.as_millis(), error],
    )?;
    Ok(attempts >= u64::from(ATTEMPTS_MAX))
}

impl Store {
    /// Takes the next job of a kind for a time; `None` where none is ready.
    pub async fn lease(&self, kind: JobKind, now: Timestamp, for_: Duration) -> Result<Option<Lease>, StoreError> {
        self.write(move |connection| {
            let found = sql::first(
                connection,
                "SELECT * FROM jobs WHERE state = 'ready' AND kind = ?1 AND visible_ms <= ?2
                 AND NOT EXISTS (SELECT 1 FROM jobs AS other WHERE other.lane = jobs.lane AND other.id != jobs.id
                     AND (other.state = 'leased'
                          OR (other.state = 'ready' AND other.kind = 'deploy' AND jobs.kind != 'deploy')))
                 ORDER BY created_ms, id LIMIT 1",
                params![kind.as_str(), now.as_millis()],
                |row| {
                    Ok(Lease {
                        job: sql::parsed(row, "id")?,
                        kind,
                        subject: row.get("subject")?,
                        fence: sql::count(row, "fence")? + 1,
                        attempt: sql::count(row, "attempts")? + 1,
                    })
                },
            )?;
            if let Some(lease) = &found {
                connection.execute(
                    "UPDATE jobs SET state = 'leased', fence = fence + 1, attempts = attempts + 1, lease_until_ms = ?2
                     WHERE id = ?1",
                    params![lease.job.as_str(), now.plus(for_).as_millis()],
                )?;
            }
            Ok(found)
        })
        .await
    }

    /// Holds a lease for longer; [`StoreError::Fenced`] where it was lost.
    pub async fn renew(&self, lease: Lease, now: Timestamp, for_: Duration) -> Result<(), StoreError> {
        self.write(move |connection| {
            require(connection, &lease)?;
            connection.execute(
                "UPDATE jobs SET lease_until_ms = ?2 WHERE id = ?1",
                params![lease.job.as_str(), now.plus(for_).as_millis()],
            )?;
            Ok(())
        })
        .await
    }

    /// Gives an attempt up because of our own fault; it is tried again later, or the job is dead. Returns whether
    /// it is dead.
    pub async fn retry(&self, lease: Lease, error: String, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |connection| {
            require(connection, &lease)?;
            put_back(connection, &lease.job, lease.attempt, &error, now)
        })
        .await
    }

    /// Ends a job that has no row of its own to change.
    pub async fn complete(&self, lease: Lease) -> Result<(), StoreError> {
        self.write(move |connection| complete(connection, &lease)).await
    }

    /// Takes back the leases that ended before `now`, so that the jobs are tried again. Returns the jobs that were
    /// given up.
    pub async fn reap(&self, now: Timestamp) -> Result<Vec<Job>, StoreError> {
        self.take_back(now, now).await
    }

    /// Takes back every lease: for the start of a process that is known to be the only one. The attempts count.
    pub async fn reap_all(&self, now: Timestamp) -> Result<Vec<Job>, StoreError> {
        self.take_back(Timestamp::from_millis(i64::MAX), now).await
    }

    async fn take_back(&self, ended_before: Timestamp, now: Timestamp) -> Result<Vec<Job>, StoreError> {
        self.write(move |connection| {
            let expired = sql::all(
                connection,
                "SELECT * FROM jobs WHERE state = 'leased' AND lease_until_ms < ?1",
                [ended_before.as_millis()],
                read,
            )?;
            let mut dead = Vec::new();
            for job in expired {
                if put_back(connection, &job.id, job.attempts, LOST, now)? {
                    dead.push(job);
                }
            }
            Ok(dead)
        })
        .await
    }

    /// How many jobs there are, by kind.
    pub async fn job_counts(&self) -> Result<Vec<JobCounts>, StoreError> {
        self.read(|connection| {
            JobKind::ALL
                .into_iter()
                .map(|kind| {
                    let counts = sql::first(
                        connection,
                        "SELECT COALESCE(SUM(state = 'ready'), 0) AS ready, COALESCE(SUM(state = 'leased'), 0) AS leased,
                         COALESCE(SUM(state = 'dead'), 0) AS dead,
                         MIN(CASE WHEN state = 'ready' THEN created_ms END) AS oldest FROM jobs WHERE kind = ?1",
                        [kind.as_str()],
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
        self.read(move |connection| {
            sql::all(
                connection,
                "SELECT * FROM jobs WHERE ?1 IS NULL OR state = ?1 ORDER BY id DESC LIMIT 500",
                [state],
                read,
            )
        })
        .await
    }

    /// Gives a dead job its attempts back; the deployment it is about takes up its life where it was given up.
    pub async fn replay(&self, id: JobId, once: Once<()>, now: Timestamp) -> Result<Done<()>, StoreError> {
        self.write_once(once, now, move |connection| {
            let job =
                sql::first(connection, "SELECT * FROM jobs WHERE id = ?1 AND state = 'dead'", [id.as_str()], read)?;
            let job = job.ok_or_else(|| StoreError::NotFound(Missing::DeadJob(id.clone())))?;
            connection.execute(
                "UPDATE jobs SET state = 'ready', attempts = 0, visible_ms = ?2 WHERE id = ?1",
                params![id.as_str(), now.as_millis()],
            )?;
            let again = match job.kind {
                JobKind::Build => DeploymentState::Queued,
                JobKind::Deploy => DeploymentState::Deploying,
                JobKind::Commit => return Ok(()),
            };
            let deployment = job.subject.parse().map_err(|_| StoreError::Damaged(format!("job {id}")))?;
            change_state(connection, &deployment, again, "replayed", now)?;
            add_line(connection, &deployment, job.kind.as_str(), "tried again by the owner", now)?;
            connection.execute(
                "UPDATE deployments SET failure = NULL, finished_ms = NULL WHERE id = ?1",
                [deployment.as_str()],
            )?;
            Ok(())
        })
        .await
    }

    /// Queues the commit of an app's uploads, unless it is queued already.
    pub async fn enqueue_commit(&self, app: AppName, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |connection| enqueue_commit(connection, &app, now)).await
    }

    /// When the next job that waits for its time becomes ready.
    pub async fn next_visible(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |connection| {
            let found = sql::first(
                connection,
                "SELECT MIN(visible_ms) AS at FROM jobs WHERE state = 'ready' AND visible_ms > ?1",
                [after.as_millis()],
                |row| sql::time_maybe(row, "at"),
            )?;
            Ok(found.flatten())
        })
        .await
    }
}

/// Queues the commit of an app's uploads in the caller's transaction, unless one waits already.
pub(crate) fn enqueue_commit(connection: &Connection, app: &AppName, now: Timestamp) -> Result<(), StoreError> {
    let lane = format!("git/{app}");
    let waits = connection.prepare_cached("SELECT 1 FROM jobs WHERE lane = ?1 AND state = 'ready'")?.exists([&lane])?;
    if !waits {
        enqueue(connection, JobKind::Commit, &lane, app.as_str(), now)?;
    }
    Ok(())
}
