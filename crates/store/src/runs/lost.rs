//! Runs whose worker said nothing more.
//!
//! That one was taken counts as an attempt, until its worker is lost: then it counts where it is noted that the run was begun. Workers
//! take ahead, and what only waited with one that died was not tried. It is noted a little after, and not before, so that nobody waits
//! for it; one that ends its worker within that time is lost unbegun each time, and given up after [`LOST_MAX`] of these.

use std::time::Duration;

use skylift_durable::{Defence, left_out};
use skylift_model::{RunId, Timestamp};

use super::take::{ATTEMPTS_MAX, LONGEST, RETRY_AFTER, TakenRun};
use super::turns;
use crate::session::{Session, params};
use crate::{Store, StoreError, sql};

/// How often a run is lost before it was begun, as far as anybody knows, until it is given up.
const LOST_MAX: u64 = 10;
/// How often a time to wait is doubled.
const DOUBLINGS_MAX: u32 = 5;
/// What is noted of a run whose lease ran out.
const LOST: &str = "the worker stopped answering";

/// A run whose lease ran out.
struct LostRun {
    id: RunId,
    /// This one included.
    attempts: u64,
    /// How often it was lost unbegun, before this time.
    lost: u64,
    was_begun: bool,
}

impl Store {
    /// Notes that runs were begun: where their worker is lost from here on, it was an attempt.
    pub async fn note_begun(&self, held: Vec<TakenRun>) -> Result<(), StoreError> {
        self.write(move |session| {
            let sql = "UPDATE runs SET begun = fence WHERE id = ?1 AND fence = ?2 AND state = 'running'";
            session.execute_each(sql, held.iter().map(TakenRun::held)).map(|_| ())
        })
        .await
    }

    /// Takes back the runs whose lease ended before `now`. Returns how many of them were given up.
    pub async fn reap_runs(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.take_runs_back(now, RETRY_AFTER, now).await
    }

    /// Takes back every run: for the start of a process that is known to be the only one, never where [`Store::is_shared`].
    pub async fn reap_all_runs(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.take_runs_back(Timestamp::from_millis(i64::MAX), Duration::ZERO, now).await
    }

    async fn take_runs_back(&self, before: Timestamp, again: Duration, now: Timestamp) -> Result<u64, StoreError> {
        if left_out(Defence::TakeBack) {
            return Ok(0);
        }
        // Mostly there are none, and who only looks writes nothing.
        let may_be_lost =
            "SELECT 1 FROM runs WHERE state = 'running' AND (lease_until_ms < ?1 OR lease_until_ms > ?2) LIMIT 1";
        let longest = now.plus(LONGEST).as_millis();
        if !self.read(move |session| session.exists(may_be_lost, &params![before.as_millis(), longest])).await? {
            return Ok(0);
        }
        self.write(move |session| {
            // Whoever holds it renews it in time, or it ends.
            session.execute(
                "UPDATE runs SET lease_until_ms = ?1 WHERE state = 'running' AND lease_until_ms > ?1",
                &params![now.plus(LONGEST).as_millis()],
            )?;
            let mut dead = 0;
            for run in lost(session, before)? {
                dead += u64::from(take_back(session, &run, again, now)?);
            }
            Ok(dead)
        })
        .await
    }
}

fn lost(session: &Session, before: Timestamp) -> Result<Vec<LostRun>, StoreError> {
    let sql = "SELECT id, attempts, lost, CASE WHEN begun = fence THEN 1 ELSE 0 END AS was_begun FROM runs
         WHERE state = 'running' AND lease_until_ms < ?1";
    session.all(sql, &params![before.as_millis()], |row| {
        Ok(LostRun {
            id: sql::parsed(row, "id")?,
            attempts: sql::count(row, "attempts")?,
            lost: sql::count(row, "lost")?,
            was_begun: row.get::<i64>("was_begun")? == 1 || left_out(Defence::Begun),
        })
    })
}

/// Whether it was given up.
fn take_back(session: &Session, run: &LostRun, again: Duration, now: Timestamp) -> Result<bool, StoreError> {
    let is_dead = if run.was_begun { run.attempts >= ATTEMPTS_MAX } else { run.lost + 1 >= LOST_MAX };
    if !run.was_begun {
        let sql = "UPDATE runs SET attempts = attempts - 1, lost = lost + 1 WHERE id = ?1";
        session.execute(sql, &params![run.id.as_str()])?;
    }
    let after = (!is_dead).then(|| doubled(again, run.attempts + run.lost));
    put_back(session, &run.id, LOST, after, now)
}

/// How long to wait after so many tries.
pub(super) fn doubled(first: Duration, tries: u64) -> Duration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(DOUBLINGS_MAX).min(DOUBLINGS_MAX);
    first * 2_u32.pow(doublings)
}

/// Puts a lost or failed attempt back, to be made again after so long, or gives the run up; whether it did. Whoever had it commits nothing
/// any more.
pub(super) fn put_back(
    session: &Session,
    id: &RunId,
    error: &str,
    after: Option<Duration>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let is_dead = after.is_none();
    let sql = format!(
        "UPDATE runs SET state = ?2, fence = fence + 1, lease_until_ms = NULL, error = ?3, visible_ms = ?4, turn = {},
         finished_ms = CAST(?5 AS BIGINT), forget_ms = CAST(?5 AS BIGINT) + ttl_ms,
         callback_due_ms = CASE WHEN callback IS NULL THEN NULL ELSE CAST(?5 AS BIGINT) END WHERE id = ?1",
        turns::put_back()
    );
    session.execute(
        &sql,
        &params![
            id.as_str(),
            if is_dead { "dead" } else { "queued" },
            error,
            now.plus(after.unwrap_or_default()).as_millis(),
            is_dead.then_some(now.as_millis())
        ],
    )?;
    Ok(is_dead)
}
