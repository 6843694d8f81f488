//! What runs of each key came to, by day, and what a key may have of it.

use std::collections::HashMap;

use skylift_model::key::{Grant, Quota};
use skylift_model::wire::RunsUsed;
use skylift_model::{Timestamp, TokenId};

use crate::ai_usage::day;
use crate::session::{Row, Session, params};
use crate::{Store, StoreError, runs, sql};

fn used(row: &Row<'_>) -> Result<RunsUsed, StoreError> {
    Ok(RunsUsed { runs: sql::count(row, "runs")?, cpu_us: sql::count(row, "cpu_us")? })
}

/// One statement, so that of two who take the last one only one has it.
const TAKE: &str = "INSERT INTO run_usage (token, day, runs, cpu_us) VALUES (?1, ?2, ?3, 0)
     ON CONFLICT (token, day) DO UPDATE SET runs = run_usage.runs + excluded.runs
     WHERE run_usage.runs + excluded.runs <= ?4 AND run_usage.cpu_us < ?5";

/// Takes runs from a quota; whether there were as many.
fn take(session: &Session, token: &TokenId, runs: u32, quota: Quota, now: Timestamp) -> Result<bool, StoreError> {
    let most = quota.runs_per_day.map_or(i64::MAX, i64::from);
    // The first of a day is compared with nothing that is there.
    if i64::from(runs) > most {
        return Ok(false);
    }
    let most_us = quota.cpu_s_per_day.map_or(i64::MAX, |seconds| sql::signed(u64::from(seconds) * 1_000_000));
    let set = params![token.as_str(), day(now), runs, most, most_us];
    Ok(session.execute(TAKE, &set)? == 1)
}

impl Store {
    /// Takes runs from what a key may have on the day of `now`, all of them or none. Where that is too many, what it has had.
    pub async fn take_quota(
        &self,
        token: TokenId,
        runs: u32,
        quota: Quota,
        now: Timestamp,
    ) -> Result<Result<(), RunsUsed>, StoreError> {
        self.write(move |session| {
            if take(session, &token, runs, quota, now)? {
                return Ok(Ok(()));
            }
            let sql = "SELECT runs, cpu_us FROM run_usage WHERE token = ?1 AND day = ?2";
            Ok(Err(session.first(sql, &params![token.as_str(), day(now)], used)?.unwrap_or_default()))
        })
        .await
    }

    /// Adds what runs of some keys came to, each on the day of its time, in one transaction. Keys whose processor time of the day of `now` is
    /// used up by then rest until that ends: none of their runs that wait is taken.
    pub async fn add_run_usage(
        &self,
        all: Vec<(TokenId, Timestamp, RunsUsed)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |session| {
            for (token, at, used) in &all {
                session.execute(
                    "INSERT INTO run_usage (token, day, runs, cpu_us) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (token, day) DO UPDATE SET runs = run_usage.runs + excluded.runs,
                        cpu_us = run_usage.cpu_us + excluded.cpu_us",
                    &params![token.as_str(), day(*at), sql::signed(used.runs), sql::signed(used.cpu_us)],
                )?;
            }
            runs::rest_those_used_up(session, all.iter().map(|(token, ..)| token), now)
        })
        .await
    }

    /// Whether a key's processor time of the day of `now` is used up once it has used as much more as that.
    pub async fn quota_used_up(&self, token: TokenId, more_us: u64, now: Timestamp) -> Result<bool, StoreError> {
        self.read(move |session| {
            let sql = "SELECT may, (SELECT cpu_us FROM run_usage WHERE token = tokens.id AND day = ?2) AS cpu_us
                 FROM tokens WHERE id = ?1";
            let bound = session.first(sql, &params![token.as_str(), day(now)], |row| {
                let grant = sql::json_maybe::<Grant>(row, "may")?;
                let used = row.get::<Option<i64>>("cpu_us")?.and_then(|used| u64::try_from(used).ok());
                Ok((grant.and_then(|grant| grant.quota?.cpu_s_per_day), used.unwrap_or_default()))
            })?;
            let Some((Some(most), used)) = bound else { return Ok(false) };
            Ok(used.saturating_add(more_us) >= u64::from(most) * 1_000_000)
        })
        .await
    }

    /// What runs of each key came to on the day of `now`.
    pub async fn runs_used(&self, now: Timestamp) -> Result<HashMap<TokenId, RunsUsed>, StoreError> {
        self.read(move |session| {
            let sql = "SELECT token, runs, cpu_us FROM run_usage WHERE day = ?1";
            let rows = session.all(sql, &params![day(now)], |row| Ok((sql::parsed(row, "token")?, used(row)?)))?;
            Ok(rows.into_iter().collect())
        })
        .await
    }
}
