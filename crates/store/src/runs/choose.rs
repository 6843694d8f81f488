//! Which runs are next where keys bound what of theirs may begin.
//!
//! In the order in which runs are taken, those of keys that may begin none are passed over. Mostly what may begin lies near the front, and
//! runs are read as they lie. Where a key has very many held back before everybody else's, each key's own order is read instead, at its
//! front alone: then it costs as much as there are keys that wait and priorities that each of them uses, however many runs it has.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use skylift_model::key::Grant;
use skylift_model::{Timestamp, TokenId};

use super::bounds::Room;
use super::take::LONGEST;
use crate::session::{Row, Session, params};
use crate::{StoreError, sql};

/// How many more than are wanted are looked at as they lie, at first, and where these were not enough.
const LOOKED_AT: [usize; 2] = [32, 512];

/// Where a run stands among those that wait: what is less is taken before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    priority: Reverse<i64>,
    turn: i64,
    id: String,
}

/// Whose a run is, and how many of its key may go on at a time.
#[derive(Clone, Debug)]
struct Of {
    token: TokenId,
    most: Option<u32>,
}

/// Which of a key's that waits is looked at.
enum Next {
    /// The first of its priority; those behind it were not read yet.
    Front(Of),
    Run(Of),
}

/// The next runs that may begin, at most so many, in their order; by their ids.
pub(super) fn next(session: &Session, room: Room, most: usize, now: Timestamp) -> Result<Vec<String>, StoreError> {
    for more in LOOKED_AT {
        if let Some(next) = as_they_lie(session, room.clone(), (most, most.saturating_add(more)), now)? {
            return Ok(next);
        }
    }
    by_keys(session, room, most, now)
}

fn place(row: &Row<'_>) -> Result<Place, StoreError> {
    Ok(Place { priority: Reverse(row.get("priority")?), turn: row.get("turn")?, id: row.get("id")? })
}

fn of(row: &Row<'_>) -> Result<Of, StoreError> {
    let grant = sql::json_maybe::<Grant>(row, "bounds")?;
    Ok(Of { token: sql::parsed(row, "token")?, most: grant.and_then(|grant| grant.at_once) })
}

/// What a key that has bounds may do.
const BOUNDS: &str = "CASE WHEN tokens.bounded = 1 THEN tokens.may END AS bounds";

/// `None` where more would have to be looked at.
fn as_they_lie(
    session: &Session,
    mut room: Room,
    (most, looked_at): (usize, usize),
    now: Timestamp,
) -> Result<Option<Vec<String>>, StoreError> {
    let sql = format!(
        "SELECT runs.id AS id, token, {BOUNDS}, CASE WHEN tokens.rests_until_ms > ?1 THEN 1 ELSE 0 END AS rests
         FROM runs LEFT JOIN tokens ON tokens.id = runs.token
         WHERE state = 'queued' AND (visible_ms <= ?1 OR visible_ms > ?2) ORDER BY priority DESC, turn, runs.id LIMIT ?3"
    );
    let set = params![now.as_millis(), now.plus(LONGEST).as_millis(), i64::try_from(looked_at).unwrap_or(i64::MAX)];
    let looked =
        session.all(&sql, &set, |row| Ok((row.get::<String>("id")?, of(row)?, row.get::<i64>("rests")? == 1)))?;
    let is_all = looked.len() < looked_at;
    let may = looked.into_iter().filter(|(_, of, rests)| !rests && room.enter(&of.token, of.most));
    let next: Vec<String> = may.map(|(id, ..)| id).take(most).collect();
    Ok(Some(next).filter(|next| is_all || next.len() == most))
}

fn by_keys(session: &Session, mut room: Room, most: usize, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let mut order: BTreeMap<Place, Next> = BTreeMap::new();
    for (place, of) in fronts(session, now)? {
        order.insert(place, Next::Front(of));
    }
    let mut next = Vec::new();
    while next.len() < most {
        match order.pop_first() {
            None => break,
            Some((_, Next::Front(of))) if room.is_full(&of.token, of.most) => {}
            Some((place, Next::Front(of))) => {
                // No more of them are needed than of all together.
                for place in line(session, &of.token, place.priority, most - next.len(), now)? {
                    order.insert(place, Next::Run(of.clone()));
                }
            }
            Some((place, Next::Run(of))) => next.extend(room.enter(&of.token, of.most).then_some(place.id)),
        }
    }
    Ok(next)
}

// Below runs are ordered by their turns alone, as the index of keys has them: SQLite would take any more for the order of the other index.

/// The first of each key and priority that waits, without keys that rest. Which those are is found by stepping from one to the next.
fn fronts(session: &Session, now: Timestamp) -> Result<Vec<(Place, Of)>, StoreError> {
    let first = |what: &str| {
        format!(
            "(SELECT front.{what} FROM runs AS front WHERE front.token = lines.token AND front.priority = lines.priority
              AND front.state = 'queued' AND (front.visible_ms <= ?1 OR front.visible_ms > ?2) ORDER BY front.turn LIMIT 1)"
        )
    };
    let sql = format!(
        "WITH RECURSIVE keys (token) AS (
             SELECT MIN(token) FROM runs WHERE state = 'queued'
             UNION ALL SELECT (SELECT MIN(after.token) FROM runs AS after WHERE after.state = 'queued' AND after.token > keys.token)
                 FROM keys WHERE keys.token IS NOT NULL
         ), lines (token, priority) AS (
             SELECT keys.token, (SELECT MIN(first.priority) FROM runs AS first WHERE first.state = 'queued' AND first.token = keys.token)
                 FROM keys WHERE keys.token IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM tokens AS resting WHERE resting.id = keys.token AND resting.rests_until_ms > ?1)
             UNION ALL SELECT lines.token, (SELECT MIN(after.priority) FROM runs AS after
                     WHERE after.state = 'queued' AND after.token = lines.token AND after.priority > lines.priority)
                 FROM lines WHERE lines.priority IS NOT NULL
         ), fronts AS (
             SELECT lines.token AS token, lines.priority AS priority, {} AS turn, {} AS id FROM lines WHERE lines.priority IS NOT NULL
         )
         SELECT fronts.id AS id, token, priority, turn, {BOUNDS}
         FROM fronts LEFT JOIN tokens ON tokens.id = fronts.token WHERE fronts.id IS NOT NULL",
        first("turn"),
        first("id")
    );
    let set = params![now.as_millis(), now.plus(LONGEST).as_millis()];
    session.all(&sql, &set, |row| Ok((place(row)?, of(row)?)))
}

/// The first of a key and a priority.
fn line(
    session: &Session,
    token: &TokenId,
    Reverse(priority): Reverse<i64>,
    most: usize,
    now: Timestamp,
) -> Result<Vec<Place>, StoreError> {
    let sql = "SELECT id, priority, turn FROM runs WHERE token = ?3 AND priority = ?4 AND state = 'queued'
             AND (visible_ms <= ?1 OR visible_ms > ?2)
         ORDER BY turn LIMIT ?5";
    let (absurd, most) = (now.plus(LONGEST).as_millis(), i64::try_from(most).unwrap_or(i64::MAX));
    session.all(sql, &params![now.as_millis(), absurd, token.as_str(), priority, most], place)
}
