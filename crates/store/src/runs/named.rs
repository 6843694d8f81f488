//! Runs by messages of a queue beside the rows: who has received some takes as many runs, and which ones the rows say.

use std::time::Duration;

use skylift_model::{RunId, Timestamp};

use super::take::{TakenRun, take};
use super::{bounds, priority};
use crate::session::{Session, params};
use crate::{Store, StoreError, sql};

/// What is to become of a message that no run was taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Something waits for its next attempt, or another has its run, until then.
    Later(Timestamp),
    /// Its run has settled, or is not there, and nothing waits.
    Over,
}

/// What became of messages, which are numbered as they were given.
#[derive(Clone, Debug, Default)]
pub struct ByMessages {
    /// The next runs, in their order, each by one message: the one that names it, where there is one.
    pub taken: Vec<(usize, TakenRun)>,
    /// Messages that no run was taken for.
    pub left: Vec<(usize, Standing)>,
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
    /// Takes the next runs, for a time: as many as messages were received. Which these name matters only where fewer may be taken.
    pub async fn take_runs_by_messages(
        &self,
        worker: String,
        named: Vec<RunId>,
        now: Timestamp,
        for_: Duration,
    ) -> Result<ByMessages, StoreError> {
        if named.is_empty() {
            return Ok(ByMessages::default());
        }
        self.write(move |session| {
            let taken = take(session, &worker, u32::try_from(named.len()).unwrap_or(u32::MAX), now, for_)?;
            let (taken, left) = paired(taken, &named);
            if left.is_empty() {
                return Ok(ByMessages { taken, left: Vec::new() });
            }
            let next = next_visible(session, now)?;
            let left = left.into_iter().map(|(message, id)| Ok((message, standing(session, id, next)?)));
            Ok(ByMessages { taken, left: left.collect::<Result<_, StoreError>>()? })
        })
        .await
    }

    /// Those that wait, as they would be taken; at most so many.
    pub async fn waiting_runs(&self, most: u32) -> Result<Vec<WaitingRun>, StoreError> {
        self.read(move |session| {
            let sql = "SELECT id, priority, visible_ms FROM runs WHERE state = 'queued'
                 ORDER BY priority DESC, turn, id LIMIT ?1";
            session.all(sql, &params![most], |row| {
                let (id, visible) = (sql::parsed(row, "id")?, sql::time(row, "visible_ms")?);
                Ok(WaitingRun { id, priority: priority(row)?, visible })
            })
        })
        .await
    }
}

type Numbered<T> = Vec<(usize, T)>;

/// Runs with the message that each is taken by, and the messages that are left.
fn paired(taken: Vec<TakenRun>, named: &[RunId]) -> (Numbered<TakenRun>, Numbered<&RunId>) {
    let mut left: Numbered<&RunId> = named.iter().enumerate().collect();
    let own = |run: &TakenRun| left.iter().position(|(_, id)| **id == run.id).map(|place| left.remove(place).0);
    let own: Vec<Option<usize>> = taken.iter().map(own).collect();
    let others = own.into_iter().zip(taken);
    let pairs = others.filter_map(|(own, run)| Some((own.or_else(|| left.pop().map(|(message, _)| message))?, run)));
    (pairs.collect(), left)
}

/// When the first of those that wait may be taken: by its time, and where that has come, perhaps by its key.
fn next_visible(session: &Session, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT MIN(visible_ms) AS next FROM runs WHERE state = 'queued'";
    let next = session.one(sql, &[], |row| sql::time_maybe(row, "next"))?;
    Ok(next.map(|next| next.max(bounds::again(now))))
}

fn standing(session: &Session, id: &RunId, next: Option<Timestamp>) -> Result<Standing, StoreError> {
    if let Some(next) = next {
        return Ok(Standing::Later(next));
    }
    let sql = "SELECT lease_until_ms FROM runs WHERE id = ?1 AND state = 'running'";
    let held = session.first(sql, &params![id.as_str()], |row| sql::time_maybe(row, "lease_until_ms"))?;
    Ok(held.flatten().map_or(Standing::Over, Standing::Later))
}
