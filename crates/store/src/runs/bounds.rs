//! What a worker may take of keys that are bounded: so many of their runs at the same time, and none once the processor time of their day
//! is used up.
//!
//! Both are looked at where runs are taken, in the transaction that takes them: of all processes together no key has more. What a key may
//! not have begun stays where it is in the order, is passed over (`choose.rs`), and holds up nobody. It costs those alone who have such keys: without
//! any, the next runs are taken as they are.

use std::collections::HashMap;
use std::time::Duration;

use skylift_durable::{Defence, left_out};
use skylift_model::key::Grant;
use skylift_model::{Timestamp, TokenId};

use super::take::TakenRun;
use super::{choose, turns};
use crate::ai_usage::{day, day_after};
use crate::session::{Row, Session, Value, params};
use crate::{Store, StoreError, sql};

const MESSAGE_AGAIN: Duration = Duration::from_secs(5);

/// Whether there is a key that bounds its runs.
pub(super) fn are_there(session: &Session) -> Result<bool, StoreError> {
    Ok(!left_out(Defence::KeyBounds) && session.exists("SELECT 1 FROM tokens WHERE bounded = 1 LIMIT 1", &[])?)
}

/// How many more runs of keys may be begun.
#[derive(Clone)]
pub(super) struct Room(HashMap<TokenId, u32>);

impl Room {
    /// What those that run have left of it.
    fn now(session: &Session) -> Result<Self, StoreError> {
        let sql = "SELECT runs.token AS token, COUNT(*) AS n, tokens.may AS may FROM runs JOIN tokens ON tokens.id = runs.token
             WHERE runs.state = 'running' AND tokens.bounded = 1 GROUP BY runs.token, tokens.may";
        let rows = session.all(sql, &[], |row| {
            let run = u32::try_from(sql::count(row, "n")?).unwrap_or(u32::MAX);
            Ok((sql::parsed(row, "token")?, at_once(row)?.map(|most| most.saturating_sub(run))))
        })?;
        Ok(Self(rows.into_iter().filter_map(|(token, left)| Some((token, left?))).collect()))
    }

    /// Whether one more of a key may be begun that has `most` at a time; then it is counted.
    pub(super) fn enter(&mut self, token: &TokenId, most: Option<u32>) -> bool {
        let Some(most) = most else { return true };
        let left = self.0.entry(token.clone()).or_insert(most);
        let may_enter = *left > 0;
        *left = left.saturating_sub(1);
        may_enter
    }

    pub(super) fn is_full(&self, token: &TokenId, most: Option<u32>) -> bool {
        most.is_some_and(|most| *self.0.get(token).unwrap_or(&most) == 0)
    }
}

fn at_once(row: &Row<'_>) -> Result<Option<u32>, StoreError> {
    Ok(sql::json_maybe::<Grant>(row, "may")?.and_then(|grant| grant.at_once))
}

/// Ends the rest of keys whose next day has begun.
fn wake(session: &Session, now: Timestamp) -> Result<(), StoreError> {
    let sql = "SELECT id FROM tokens WHERE rests_until_ms IS NOT NULL AND rests_until_ms <= ?1";
    for token in session.all(sql, &params![now.as_millis()], |row| sql::parsed(row, "id"))? {
        stand_up(session, &token)?;
    }
    Ok(())
}

fn stand_up(session: &Session, token: &TokenId) -> Result<(), StoreError> {
    // While it rests: beside the others, not beside what it has left behind itself.
    turns::begin_again(session, token)?;
    session.execute("UPDATE tokens SET rests_until_ms = NULL WHERE id = ?1", &params![token.as_str()]).map(|_| ())
}

/// Takes the next runs whose keys may have them begun.
pub(super) fn take(
    session: &Session,
    worker: &str,
    most: u32,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<TakenRun>, StoreError> {
    wake(session, now)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let taken = as_taken(session, &choose::next(session, Room::now(session)?, most, now)?)?;
    let sql =
        "UPDATE runs SET state = 'running', fence = ?2, attempts = ?3, worker = ?4, lease_until_ms = ?5 WHERE id = ?1";
    let sets = taken.iter().map(|taken| {
        let (fence, attempts) = (sql::signed(taken.fence), sql::signed(taken.attempt));
        params![taken.id.as_str(), fence, attempts, worker, until.as_millis()]
    });
    session.execute_each(sql, sets)?;
    Ok(taken)
}

/// Runs as they will be when they are taken, in this order.
fn as_taken(session: &Session, ids: &[String]) -> Result<Vec<TakenRun>, StoreError> {
    // Few different numbers of them, so that there are few different statements.
    let places = if ids.is_empty() { return Ok(Vec::new()) } else { ids.len().next_power_of_two() };
    let names: Vec<String> = (1..).take(places).map(|number| format!("?{number}")).collect();
    let sql = format!(
        "SELECT runs.id AS id, fence, attempts, token, job, runs.sha256 AS sha256, runs.created_ms AS created_ms,
             tokens.bounded AS bounded
         FROM runs LEFT JOIN tokens ON tokens.id = runs.token WHERE runs.id IN ({})",
        names.join(", ")
    );
    let set: Vec<Value<'_>> = ids.iter().cycle().take(places).map(|id| Value::from(id.as_str())).collect();
    let mut taken = session.all(&sql, &set, |row| {
        let mut taken = super::take::read_taken(row)?;
        (taken.fence, taken.attempt) = (taken.fence + 1, taken.attempt + 1);
        taken.is_bounded = row.get::<Option<i64>>("bounded")? == Some(1);
        Ok(taken)
    })?;
    let order: HashMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    taken.sort_by_key(|taken| order.get(taken.id.as_str()).copied());
    Ok(taken)
}

/// How many of those that may be taken by their time may not by their keys.
pub(super) fn held_back(session: &Session, now: Timestamp) -> Result<u64, StoreError> {
    if !are_there(session)? {
        return Ok(0);
    }
    let room = Room::now(session)?;
    let sql = "SELECT runs.token AS token, COUNT(*) AS n, tokens.may AS may,
             CASE WHEN tokens.rests_until_ms > ?1 THEN 1 ELSE 0 END AS rests
         FROM runs JOIN tokens ON tokens.id = runs.token
         WHERE runs.state = 'queued' AND runs.visible_ms <= ?1 AND tokens.bounded = 1
         GROUP BY runs.token, tokens.may, tokens.rests_until_ms";
    let rows = session.all(sql, &params![now.as_millis()], |row| {
        let (token, wait): (TokenId, _) = (sql::parsed(row, "token")?, sql::count(row, "n")?);
        let left = at_once(row)?.map(|most| u64::from(room.0.get(&token).copied().unwrap_or(most)));
        let may = if row.get::<i64>("rests")? == 1 { 0 } else { left.unwrap_or(u64::MAX) };
        Ok(wait.saturating_sub(may))
    })?;
    Ok(rows.into_iter().sum())
}

/// Why none of a key's runs that wait may begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// It has so many under way, as many as it may.
    AtOnce(u32),
    /// The processor time of its day is used up; when the next begins.
    Until(Timestamp),
}

fn held_back_by(session: &Session, token: &TokenId, now: Timestamp) -> Result<Option<HeldBack>, StoreError> {
    let sql = "SELECT may, rests_until_ms FROM tokens WHERE id = ?1 AND bounded = 1";
    let bounds = session
        .first(sql, &params![token.as_str()], |row| Ok((at_once(row)?, sql::time_maybe(row, "rests_until_ms")?)))?;
    let Some((most, rests_until)) = bounds else { return Ok(None) };
    if let Some(until) = rests_until.filter(|until| *until > now) {
        return Ok(Some(HeldBack::Until(until)));
    }
    let Some(most) = most else { return Ok(None) };
    let is_full = Room::now(session)?.0.get(token) == Some(&0);
    Ok(is_full.then_some(HeldBack::AtOnce(most)))
}

/// Whether a key bounds what of its runs goes on.
pub(crate) fn is_bounded(grant: &Grant) -> bool {
    grant.at_once.is_some() || grant.quota.is_some_and(|quota| quota.cpu_s_per_day.is_some())
}

/// Has a key rest until its day ends where the processor time of that is used up, and no longer where it is not.
pub(crate) fn rest(session: &Session, token: &TokenId, grant: &Grant, now: Timestamp) -> Result<(), StoreError> {
    let quota = grant.quota.and_then(|quota| quota.cpu_s_per_day);
    let is_used_up = match quota {
        None => false,
        Some(seconds) => {
            let sql = "SELECT 1 FROM run_usage WHERE token = ?1 AND day = ?2 AND cpu_us >= ?3";
            let quota_us = sql::signed(u64::from(seconds) * 1_000_000);
            session.exists(sql, &params![token.as_str(), day(now), quota_us])?
        }
    };
    let sql = "SELECT 1 FROM tokens WHERE id = ?1 AND rests_until_ms IS NOT NULL";
    // Said once: this is asked after every second in which anything ran.
    match (session.exists(sql, &params![token.as_str()])?, is_used_up) {
        (false, true) => {
            let sql = "UPDATE tokens SET rests_until_ms = ?2 WHERE id = ?1";
            session.execute(sql, &params![token.as_str(), day_after(now).as_millis()]).map(|_| ())
        }
        (true, false) => stand_up(session, token),
        (true, true) | (false, false) => Ok(()),
    }
}

/// The same for keys whose runs came to something.
pub(crate) fn rest_those_used_up<'t>(
    session: &Session,
    tokens: impl Iterator<Item = &'t TokenId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for token in tokens {
        let sql = "SELECT may FROM tokens WHERE id = ?1 AND bounded = 1";
        let grant = session.first(sql, &params![token.as_str()], |row| sql::json_maybe::<Grant>(row, "may"))?;
        if let Some(grant) = grant.flatten() {
            rest(session, token, &grant, now)?;
        }
    }
    Ok(())
}

/// When a message that no run could be taken for is to come again: seldom, since what may begin before is taken without one
/// ([`Store::runs_may_be_held_back`]).
pub(super) fn again(now: Timestamp) -> Timestamp {
    now.plus(MESSAGE_AGAIN)
}

impl Store {
    /// Why none of a key's runs that wait may begin now, where it is for the key.
    pub async fn held_back_by(&self, token: TokenId, now: Timestamp) -> Result<Option<HeldBack>, StoreError> {
        self.read(move |session| held_back_by(session, &token, now)).await
    }

    /// Whether runs wait that their keys may have held back until now: for whoever takes runs by messages, which tell nothing of that.
    pub async fn runs_may_be_held_back(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.read(move |session| {
            let sql = "SELECT 1 FROM runs WHERE state = 'queued' AND visible_ms <= ?1 LIMIT 1";
            Ok(are_there(session)? && session.exists(sql, &params![now.as_millis()])?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bounded_by_what_its_runs_may_not_go_beyond_once_they_are_sent() {
        let runs = |grant: &str| is_bounded(&serde_json::from_str(grant).unwrap());
        assert!(!runs(r#"{"scopes":["runs"],"rate":{"runs":1},"at_once":null,"quota":{"runs_per_day":1}}"#));
        assert!(runs(r#"{"scopes":["runs"],"rate":null,"at_once":1}"#));
        assert!(runs(r#"{"scopes":["runs"],"rate":null,"at_once":null,"quota":{"cpu_s_per_day":1}}"#));
    }
}
