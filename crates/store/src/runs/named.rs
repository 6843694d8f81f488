//! Runs that a queue beside the rows names: whether one may be taken is for its row to say, whoever was sent its id and how often.

use std::time::Duration;

use skylift_model::{RunId, Timestamp};

use super::priority;
use super::take::{LONGEST, RETURNED, TakenRun, read_taken};
use crate::session::{Session, Value, params};
use crate::{Store, StoreError, sql};

/// What became of a run that somebody was told to take.
#[derive(Clone, Debug)]
pub enum Standing {
    /// They have it.
    Taken(TakenRun),
    /// It waits for its next attempt, or another has it until then.
    Later(Timestamp),
    /// It has settled, or is not there.
    Over,
}

/// A run that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingRun {
    pub id: RunId,
    pub priority: i32,
    /// From when on it may be taken.
    pub visible: Timestamp,
}

impl Store {
    /// Takes those of these runs that may be taken, for a time; says of each what it is, in their order.
    pub async fn take_named_runs(
        &self,
        worker: String,
        ids: Vec<RunId>,
        now: Timestamp,
        for_: Duration,
    ) -> Result<Vec<(RunId, Standing)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |session| {
            let mut taken = take(session, &worker, &ids, now, for_)?;
            ids.into_iter()
                .map(|id| {
                    let standing = match taken.iter().position(|taken| taken.id == id) {
                        Some(place) => Standing::Taken(taken.swap_remove(place)),
                        None => standing(session, &id)?,
                    };
                    Ok((id, standing))
                })
                .collect()
        })
        .await
    }

    /// Those that wait, as they would be taken; at most so many.
    pub async fn waiting_runs(&self, most: u32) -> Result<Vec<WaitingRun>, StoreError> {
        self.read(move |session| {
            let sql =
                "SELECT id, priority, visible_ms FROM runs WHERE state = 'queued' ORDER BY priority DESC, id LIMIT ?1";
            session.all(sql, &params![most], |row| {
                let (id, visible) = (sql::parsed(row, "id")?, sql::time(row, "visible_ms")?);
                Ok(WaitingRun { id, priority: priority(row)?, visible })
            })
        })
        .await
    }
}

fn take(
    session: &Session,
    worker: &str,
    ids: &[RunId],
    now: Timestamp,
    for_: Duration,
) -> Result<Vec<TakenRun>, StoreError> {
    let (until, absurd) = (now.plus(for_).as_millis(), now.plus(LONGEST).as_millis());
    let mut values = params![worker, now.as_millis(), until, absurd].to_vec();
    values.extend(ids.iter().map(|id| Value::Text(id.as_str())));
    // Few different statements: the last id is repeated up to a power of two.
    let count = ids.len().next_power_of_two();
    values.extend(ids.last().into_iter().cycle().take(count - ids.len()).map(|id| Value::Text(id.as_str())));
    let numbers: Vec<String> = (5..5 + count).map(|number| format!("?{number}")).collect();
    let sql = format!(
        "UPDATE runs SET state = 'running', fence = fence + 1, attempts = attempts + 1, worker = ?1, lease_until_ms = ?3
         WHERE id IN ({}) AND state = 'queued' AND (visible_ms <= ?2 OR visible_ms > ?4) {RETURNED}",
        numbers.join(", ")
    );
    session.all(&sql, &values, read_taken)
}

fn standing(session: &Session, id: &RunId) -> Result<Standing, StoreError> {
    let sql = "SELECT state, visible_ms, lease_until_ms FROM runs WHERE id = ?1";
    let standing = session.first(sql, &params![id.as_str()], |row| {
        Ok(match row.get::<String>("state")?.as_str() {
            "queued" => Standing::Later(sql::time(row, "visible_ms")?),
            "running" => Standing::Later(sql::time_maybe(row, "lease_until_ms")?.unwrap_or(Timestamp::from_millis(0))),
            _ => Standing::Over,
        })
    })?;
    Ok(standing.unwrap_or(Standing::Over))
}
