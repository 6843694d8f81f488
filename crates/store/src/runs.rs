//! Runs that outlive their request: queued, taken by workers, settled, kept for a time.
//!
//! ```text
//!  queued ──take──▶ running ──ended, with its fence──▶ done ──┐
//!    ▲                │                                       ├─ kept for its time ──▶ (row gone)
//!    ├─ lost, failed ─┼──▶ dead (attempts used up) ───────────┤
//!    │   or given back└──▶ cancelled, as from queued ─────────┘
//!    └──────────── sent again by its owner ── dead
//! ```

mod backlog;
mod bounds;
mod callbacks;
mod cancel;
mod choose;
mod lost;
mod named;
mod revoked;
mod seen;
mod take;
mod turns;
mod via;

use std::time::Duration;

use skylift_model::run::{RunState, RunStatus};
use skylift_model::{Digest, RunId, Timestamp, TokenId};

use crate::error::Missing;
use crate::idempotency::{Done, Once};
use crate::session::{Row, Session, params};
use crate::{Store, StoreError, sql};

pub use backlog::Backlog;
pub use bounds::HeldBack;
pub(crate) use bounds::{is_bounded, rest, rest_those_used_up};
pub use callbacks::{Callback, CallbackRow, CallbackState};
pub use named::{ByMessages, Standing, WaitingRun};
pub(crate) use revoked::cancel_all_of;
pub use seen::RunsSeen;
pub use take::{Ended, TakenRun};

/// How many settled runs are forgotten in one transaction: others write meanwhile.
const FORGET_MAX: u32 = 500;

/// A document of a run: in its row, or, where it is large, in the blob store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    Inline(String),
    Blob(Digest),
}

/// A run to be queued.
#[derive(Clone, Debug)]
pub struct NewRun {
    pub id: RunId,
    /// Whose it is.
    pub token: TokenId,
    pub language: String,
    pub priority: i32,
    /// What is to be run.
    pub job: Document,
    /// Of the same.
    pub sha256: Digest,
    /// How long it is kept once it has settled.
    pub ttl: Duration,
    /// The interface that it was asked for by, where that is not our own.
    pub via: Option<&'static str>,
    /// The address at which its end is to be told.
    pub callback: Option<String>,
}

/// A run as stored.
#[derive(Clone, Debug)]
pub struct RunRow {
    pub id: RunId,
    pub token: TokenId,
    pub language: String,
    pub priority: i32,
    pub state: RunState,
    pub job: Document,
    pub attempts: u64,
    /// Whether it is noted that whoever has it has begun it.
    pub is_begun: bool,
    pub status: Option<String>,
    pub ending: Option<Document>,
    /// Why the last attempt came to nothing.
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// The interface that it was asked for by, where that is not our own.
    pub via: Option<String>,
    /// Where its end is told.
    pub callback: Option<CallbackRow>,
}

fn document(row: &Row<'_>, text: &str, sha256: &str) -> Result<Option<Document>, StoreError> {
    if let Some(text) = row.get::<Option<String>>(text)? {
        return Ok(Some(Document::Inline(text)));
    }
    Ok(row.get::<Option<[u8; 32]>>(sha256)?.map(|bytes| Document::Blob(Digest::from_bytes(bytes))))
}

fn priority(row: &Row<'_>) -> Result<i32, StoreError> {
    let priority = row.get::<i64>("priority")?;
    i32::try_from(priority).map_err(|_| StoreError::Damaged(format!("priority = {priority}")))
}

fn job(row: &Row<'_>) -> Result<Document, StoreError> {
    document(row, "job", "sha256")?.ok_or_else(|| StoreError::Damaged("a run without a job".to_owned()))
}

fn read(row: &Row<'_>) -> Result<RunRow, StoreError> {
    let state = sql::parsed(row, "state")?;
    Ok(RunRow {
        id: sql::parsed(row, "id")?,
        token: sql::parsed(row, "token")?,
        language: row.get("language")?,
        priority: priority(row)?,
        state,
        job: job(row)?,
        attempts: sql::count(row, "attempts")?,
        is_begun: state == RunState::Running && row.get::<i64>("begun")? == row.get::<i64>("fence")?,
        status: row.get("status")?,
        ending: document(row, "ending", "ending_sha256")?,
        error: row.get("error")?,
        created_at: sql::time(row, "created_ms")?,
        finished_at: sql::time_maybe(row, "finished_ms")?,
        expires_at: sql::time_maybe(row, "forget_ms")?,
        via: row.get("via")?,
        callback: callbacks::of(row)?,
    })
}

fn find(session: &Session, id: &RunId, of: Option<&TokenId>) -> Result<RunRow, StoreError> {
    let sql = "SELECT * FROM runs WHERE id = ?1 AND (CAST(?2 AS TEXT) IS NULL OR token = ?2)";
    let row = session.first(sql, &params![id.as_str(), of.map(TokenId::as_str)], read)?;
    row.ok_or_else(|| StoreError::NotFound(Missing::Run(id.clone())))
}

const INSERT: &str =
    "INSERT INTO runs (id, token, language, priority, sha256, job, ttl_ms, visible_ms, created_ms, via, callback, turn)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ";

fn insert(session: &Session, new: &[NewRun], now: Timestamp) -> Result<(), StoreError> {
    let sets = new.iter().map(|run| {
        let job = match &run.job {
            Document::Inline(text) => Some(text),
            Document::Blob(_) => None,
        };
        let (priority, ttl_ms) = (i64::from(run.priority), millis(run.ttl));
        let (id, token) = (run.id.as_str(), run.token.as_str());
        let (sha256, now, callback) = (run.sha256.as_bytes(), now.as_millis(), run.callback.as_deref());
        params![id, token, &run.language, priority, sha256, job, ttl_ms, now, run.via, callback]
    });
    session.execute_each(&format!("{INSERT}{})", turns::of_new("?2", "?4")), sets).map(|_| ())
}

impl Store {
    /// Queues runs, all of them or none; durable when this returns. Refused where their key was revoked meanwhile.
    pub async fn add_runs(
        &self,
        new: Vec<NewRun>,
        once: Once<Vec<RunId>>,
        now: Timestamp,
    ) -> Result<Done<Vec<RunId>>, StoreError> {
        self.write_once(once, now, move |session| {
            revoked::refuse(session, new.iter().map(|run| &run.token))?;
            insert(session, &new, now)?;
            Ok(new.into_iter().map(|run| run.id).collect())
        })
        .await
    }

    /// Keeps a run that is over already.
    pub async fn keep_run(
        &self,
        new: NewRun,
        ended: Ended,
        (asked_at, now): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        self.write(move |session| {
            insert(session, std::slice::from_ref(&new), asked_at)?;
            take::settle(session, &[(TakenRun::untaken(new.id, new.token), ended)], now)?;
            Ok(())
        })
        .await
    }

    /// A run; only one of this token's, where one is given.
    pub async fn run(&self, id: RunId, of: Option<TokenId>) -> Result<RunRow, StoreError> {
        self.read(move |session| find(session, &id, of.as_ref())).await
    }

    /// Of these runs those that have settled.
    pub async fn settled_runs(&self, ids: Vec<RunId>) -> Result<Vec<RunRow>, StoreError> {
        self.read(move |session| {
            let mut rows = Vec::new();
            for id in &ids {
                let sql = "SELECT * FROM runs WHERE id = ?1 AND state NOT IN ('queued', 'running')";
                rows.extend(session.first(sql, &params![id.as_str()], read)?);
            }
            Ok(rows)
        })
        .await
    }

    /// Runs that are kept, the newest first; only this token's, and only those in `state`, where they are given.
    pub async fn runs(
        &self,
        of: Option<TokenId>,
        state: Option<RunState>,
        before: Option<RunId>,
        most: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT * FROM runs WHERE (CAST(?1 AS TEXT) IS NULL OR token = ?1)
                 AND (CAST(?2 AS TEXT) IS NULL OR state = ?2) AND (CAST(?3 AS TEXT) IS NULL OR id < ?3)
                 ORDER BY id DESC LIMIT ?4",
                &params![
                    of.as_ref().map(TokenId::as_str),
                    state.map(RunState::as_str),
                    before.as_ref().map(RunId::as_str),
                    most
                ],
                read,
            )
        })
        .await
    }

    /// Forgets runs whose time is over; whether there may be more of them. One whose end is still to be told stays for that, but not
    /// for ever where nobody does.
    pub async fn forget_runs(&self, now: Timestamp) -> Result<bool, StoreError> {
        // Mostly there are none, and who only looks writes nothing.
        let is_over = "SELECT 1 FROM runs WHERE forget_ms IS NOT NULL AND forget_ms < ?1 LIMIT 1";
        if !self.read(move |session| session.exists(is_over, &params![now.as_millis()])).await? {
            return Ok(false);
        }
        self.write(move |session| {
            let gone = session.execute(
                "DELETE FROM runs WHERE id IN
                 (SELECT id FROM runs WHERE forget_ms IS NOT NULL AND forget_ms < ?1
                     AND (callback_due_ms IS NULL OR forget_ms < ?3) ORDER BY forget_ms LIMIT ?2)",
                &params![now.as_millis(), FORGET_MAX, now.minus(callbacks::WAIT_AT_MOST).as_millis()],
            )?;
            Ok(gone == u64::from(FORGET_MAX))
        })
        .await
    }
}

/// Every blob that a run's row names.
pub(crate) fn blobs(session: &Session) -> Result<Vec<Digest>, StoreError> {
    let of = |column: &str, is_there: &str| {
        let sql = format!("SELECT DISTINCT {column} FROM runs WHERE {is_there}");
        session.all(&sql, &[], |row| sql::digest(row, column))
    };
    let mut blobs = of("sha256", "job IS NULL")?;
    blobs.extend(of("ending_sha256", "ending_sha256 IS NOT NULL")?);
    Ok(blobs)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The name of a status, as it is in rows and on the wire.
fn status_name(status: RunStatus) -> Result<String, StoreError> {
    let json = serde_json::to_value(status)?;
    json.as_str().map(str::to_owned).ok_or_else(|| StoreError::Damaged("a status without a name".to_owned()))
}
