//! Whose turn it is among the runs of one priority: each key has its share, however much it queues.
//!
//! A run is stamped with its turn when it is queued, and the lowest turn goes first. It is one after the last of its key that waits; a key
//! of which nothing waits begins beside whoever was taken last. So keys that wait take turns, and what one of them queues at once makes
//! the others wait for a run of it each time, not for all of it. (Start-time fair queuing, each run at the cost of one, where the virtual
//! time is the turn of what was taken last and is in work.)
//!
//! Everything follows from the rows that wait, in the transaction that queues: whichever process does, there is one order, and taking runs
//! costs what it would by age alone.

use skylift_durable::{Defence, left_out};
use skylift_model::TokenId;

use crate::StoreError;
use crate::session::{Session, params};

/// The turn of a run that is queued, as SQL: of which key, and of which priority.
pub(super) fn of_new(token: &str, priority: &str) -> String {
    if left_out(Defence::Turns) {
        return "0".to_owned();
    }
    format!(
        "COALESCE((SELECT own.turn + 1 FROM runs AS own
              WHERE own.token = {token} AND own.priority = {priority} AND own.state = 'queued'
              ORDER BY own.turn DESC LIMIT 1),
          {}, 0)",
        next(priority)
    )
}

/// The turn of a run that is put back, as SQL for its row: it had its turn, and is next again.
pub(super) fn put_back() -> String {
    format!("COALESCE({}, turn)", first("runs.priority"))
}

/// How far they have got: what was taken last, of what is in work. Not what waits, of which a key may hold the first back for long
/// (`bounds.rs`); that only where nothing is in work.
fn next(priority: &str) -> String {
    format!(
        "COALESCE((SELECT MAX(latest.turn) FROM runs AS latest WHERE latest.priority = {priority} AND latest.state = 'running'), {})",
        first(priority)
    )
}

/// The first that waits, of keys that do not rest: those stay behind as the others go on.
fn first(priority: &str) -> String {
    format!(
        "(SELECT first.turn FROM runs AS first
          WHERE first.priority = {priority} AND first.state = 'queued'
              AND NOT EXISTS (SELECT 1 FROM tokens AS resting WHERE resting.id = first.token AND resting.rests_until_ms IS NOT NULL)
          ORDER BY first.turn LIMIT 1)"
    )
}

/// Has what waits of a key that rested begin beside whoever is next: it has no credit for the time in which it could not.
pub(super) fn begin_again(session: &Session, token: &TokenId) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT runs.priority AS priority, MIN(runs.turn) AS first, {} AS next FROM runs
         WHERE runs.token = ?1 AND runs.state = 'queued' GROUP BY runs.priority",
        next("runs.priority")
    );
    let late = session.all(&sql, &params![token.as_str()], |row| {
        let (first, next) = (row.get::<i64>("first")?, row.get::<Option<i64>>("next")?);
        Ok((row.get::<i64>("priority")?, next.unwrap_or(first).saturating_sub(first)))
    })?;
    for (priority, late) in late.into_iter().filter(|(_, late)| *late > 0) {
        let sql = "UPDATE runs SET turn = turn + ?3 WHERE token = ?1 AND priority = ?2 AND state = 'queued'";
        session.execute(sql, &params![token.as_str(), priority, late])?;
    }
    Ok(())
}
