//! What models have done for each key, by day.

use std::collections::HashMap;

use skylift_model::wire::AiUsed;
use skylift_model::{Timestamp, TokenId};

use crate::session::{Row, params};
use crate::{Store, StoreError, sql};

const DAY_MS: i64 = 86_400_000;

/// What models have done for one key on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AiUsageRow {
    pub token: TokenId,
    /// What the key is called.
    pub name: String,
    /// When the day began.
    pub day: Timestamp,
    pub used: AiUsed,
}

/// When the day began in which a time lies.
pub fn day_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(day(at) * DAY_MS)
}

/// When that day ends.
pub fn day_after(at: Timestamp) -> Timestamp {
    Timestamp::from_millis((day(at) + 1) * DAY_MS)
}

/// Days since 1970.
pub(crate) fn day(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY_MS)
}

fn used(row: &Row<'_>) -> Result<AiUsed, StoreError> {
    Ok(AiUsed {
        requests: sql::count(row, "requests")?,
        prompt_tokens: sql::count(row, "prompt_tokens")?,
        completion_tokens: sql::count(row, "completion_tokens")?,
    })
}

impl Store {
    /// Adds what models have done for some keys, each on the day of its time, in one transaction.
    pub async fn add_ai_usage(&self, all: Vec<(TokenId, Timestamp, AiUsed)>) -> Result<(), StoreError> {
        self.write(move |session| {
            for (token, at, used) in all {
                session.execute(
                    "INSERT INTO ai_usage (token, day, requests, prompt_tokens, completion_tokens)
                     VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (token, day) DO UPDATE SET
                        requests = ai_usage.requests + excluded.requests,
                        prompt_tokens = ai_usage.prompt_tokens + excluded.prompt_tokens,
                        completion_tokens = ai_usage.completion_tokens + excluded.completion_tokens",
                    &params![
                        token.as_str(),
                        day(at),
                        sql::signed(used.requests),
                        sql::signed(used.prompt_tokens),
                        sql::signed(used.completion_tokens)
                    ],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// What models have done on each day from that of `since` on, the newest first.
    pub async fn ai_usage(&self, since: Timestamp) -> Result<Vec<AiUsageRow>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT ai_usage.*, tokens.name FROM ai_usage JOIN tokens ON tokens.id = ai_usage.token
                 WHERE day >= ?1 ORDER BY day DESC, token",
                &params![day(since)],
                |row| {
                    let day: i64 = row.get("day")?;
                    let (token, name) = (sql::parsed(row, "token")?, row.get("name")?);
                    Ok(AiUsageRow { token, name, day: Timestamp::from_millis(day * DAY_MS), used: used(row)? })
                },
            )
        })
        .await
    }

    /// What models have done for each key in all.
    pub async fn ai_used(&self) -> Result<HashMap<TokenId, AiUsed>, StoreError> {
        self.read(move |session| {
            let rows = session.all(
                "SELECT token, CAST(SUM(requests) AS BIGINT) AS requests, CAST(SUM(prompt_tokens) AS BIGINT) AS prompt_tokens,
                    CAST(SUM(completion_tokens) AS BIGINT) AS completion_tokens FROM ai_usage GROUP BY token",
                &[],
                |row| Ok((sql::parsed(row, "token")?, used(row)?)),
            )?;
            Ok(rows.into_iter().collect())
        })
        .await
    }
}
