//! What became of a run, on its way to who asked to be told.
//!
//! ```text
//!  (run settles) ──▶ due ──take──▶ in hand ──told──▶ told
//!                     ▲              │
//!                     └─ later, lost ┴──▶ failed (tries used up, or never to be reached)
//! ```

use std::time::Duration;

use skylift_model::{RunId, Timestamp};

use super::{RunRow, read};
use crate::session::{Row, params};
use crate::{Store, StoreError, sql};

/// How long a run whose time is over is kept for nothing but its callback.
pub(super) const WAIT_AT_MOST: Duration = Duration::from_secs(24 * 3600);
/// Nothing is due later than this from now: what seems to be was noted before the clock was set back.
const LONGEST: Duration = Duration::from_secs(3600);

/// How far the telling is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackState {
    /// The run has not settled, or it is still to be told.
    Waiting,
    /// The address has taken it.
    Told,
    /// It was given up.
    Failed,
}

/// Where a run's end is told, and how far that is.
#[derive(Clone, Debug)]
pub struct CallbackRow {
    pub url: String,
    pub state: CallbackState,
    /// How often it was tried.
    pub attempts: u64,
    /// Why the last try came to nothing.
    pub error: Option<String>,
}

/// A settled run that this process is to tell of; nobody else does until `until`.
#[derive(Clone, Debug)]
pub struct Callback {
    pub run: RunRow,
    pub url: String,
    /// This try, from 1.
    pub attempt: u64,
    /// Until when it is ours. Whoever notes what came of it shows this.
    until: Timestamp,
}

pub(super) fn of(row: &Row<'_>) -> Result<Option<CallbackRow>, StoreError> {
    let Some(url) = row.get::<Option<String>>("callback")? else { return Ok(None) };
    let state = match row.get::<Option<String>>("callback_state")?.as_deref() {
        None => CallbackState::Waiting,
        Some("told") => CallbackState::Told,
        Some("failed") => CallbackState::Failed,
        Some(other) => return Err(StoreError::Damaged(format!("callback_state = {other:?}"))),
    };
    let (attempts, error) = (sql::count(row, "callback_attempts")?, row.get("callback_error")?);
    Ok(Some(CallbackRow { url, state, attempts, error }))
}

impl Store {
    /// When the next callback is due; `None` where there is none.
    pub async fn next_callback(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT MIN(callback_due_ms) AS due FROM runs WHERE callback_due_ms IS NOT NULL";
        let due = self.read(move |session| session.one(sql, &[], |row| sql::time_maybe(row, "due"))).await?;
        Ok(due.map(|due| if due > now.plus(LONGEST) { now } else { due }))
    }

    /// Takes callbacks that are due, for a time: who does not say in time what came of one has lost it to another try.
    pub async fn take_callbacks(&self, most: u32, now: Timestamp, for_: Duration) -> Result<Vec<Callback>, StoreError> {
        let until = now.plus(for_);
        self.write(move |session| {
            let rows = session.all(
                "UPDATE runs SET callback_attempts = callback_attempts + 1, callback_due_ms = ?2
                 WHERE id IN (SELECT id FROM runs WHERE callback_due_ms IS NOT NULL
                     AND (callback_due_ms <= ?1 OR callback_due_ms > ?4) ORDER BY callback_due_ms LIMIT ?3)
                 RETURNING *",
                &params![now.as_millis(), until.as_millis(), most, now.plus(LONGEST).as_millis()],
                read,
            )?;
            let taken = rows.into_iter().filter_map(|run| {
                let (url, attempt) = run.callback.as_ref().map(|callback| (callback.url.clone(), callback.attempts))?;
                Some(Callback { run, url, attempt, until })
            });
            Ok(taken.collect())
        })
        .await
    }

    /// Notes that it was told; whether it was still ours.
    pub async fn callback_told(&self, callback: &Callback) -> Result<bool, StoreError> {
        self.note(callback, Some("told"), None, None).await
    }

    /// Notes why it was not told, and when that is tried again; `None` for never.
    pub async fn callback_failed(
        &self,
        callback: &Callback,
        error: String,
        again: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let state = again.is_none().then_some("failed");
        self.note(callback, state, Some(error), again).await
    }

    async fn note(
        &self,
        callback: &Callback,
        state: Option<&'static str>,
        error: Option<String>,
        due: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let (id, until): (RunId, Timestamp) = (callback.run.id.clone(), callback.until);
        self.insist(move |session| {
            let noted = session.execute(
                "UPDATE runs SET callback_state = ?3, callback_error = ?4, callback_due_ms = ?5
                 WHERE id = ?1 AND callback_due_ms = ?2",
                &params![id.as_str(), until.as_millis(), state, error.as_deref(), due.map(Timestamp::as_millis)],
            )?;
            Ok(noted == 1)
        })
        .await
    }
}
