//! Runs that somebody ends, and those that were given up and are asked for again.

use skylift_model::run::RunState;
use skylift_model::{RunId, Timestamp, TokenId};

use super::{RunRow, find, revoked, turns};
use crate::error::Conflict;
use crate::idempotency::{Done, Once};
use crate::session::params;
use crate::{Store, StoreError};

/// Ends runs that have not settled; whoever has one commits nothing any more.
pub(super) const CANCEL: &str = "UPDATE runs SET state = 'cancelled', fence = fence + 1, lease_until_ms = NULL, finished_ms = ?2,
     error = COALESCE(CAST(?3 AS TEXT), error),
     callback_due_ms = CASE WHEN callback IS NULL THEN NULL ELSE CAST(?2 AS BIGINT) END, forget_ms = CAST(?2 AS BIGINT) + ttl_ms";

impl Store {
    /// Ends a run that has not settled; whoever has it commits nothing any more. One that was cancelled before stays so.
    pub async fn cancel_run(
        &self,
        id: RunId,
        of: Option<TokenId>,
        once: Once<RunRow>,
        now: Timestamp,
    ) -> Result<Done<RunRow>, StoreError> {
        self.write_once(once, now, move |session| {
            let row = find(session, &id, of.as_ref())?;
            match row.state {
                RunState::Queued | RunState::Running => {}
                RunState::Cancelled => return Ok(row),
                state => return Err(Conflict::RunSettled { run: id, state }.into()),
            }
            let cancel = format!("{CANCEL} WHERE id = ?1");
            session.execute(&cancel, &params![id.as_str(), now.as_millis(), None::<&str>])?;
            find(session, &id, None)
        })
        .await
    }

    /// Gives a run that was given up its attempts back.
    pub async fn redrive_run(
        &self,
        id: RunId,
        of: Option<TokenId>,
        once: Once<RunRow>,
        now: Timestamp,
    ) -> Result<Done<RunRow>, StoreError> {
        self.write_once(once, now, move |session| {
            let row = find(session, &id, of.as_ref())?;
            if row.state != RunState::Dead {
                return Err(Conflict::RunNotDead { run: id, state: row.state }.into());
            }
            revoked::refuse(session, [&row.token])?;
            let sql = format!(
                "UPDATE runs SET state = 'queued', attempts = 0, lost = 0, visible_ms = ?2, finished_ms = NULL, error = NULL,
                 callback_state = NULL, callback_attempts = 0, callback_due_ms = NULL, forget_ms = NULL, turn = {}
                 WHERE id = ?1",
                turns::of_new("runs.token", "runs.priority")
            );
            session.execute(&sql, &params![id.as_str(), now.as_millis()])?;
            find(session, &id, None)
        })
        .await
    }
}
