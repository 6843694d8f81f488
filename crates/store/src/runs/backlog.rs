//! How much waits, and how much is in work.

use skylift_model::Timestamp;

use super::bounds;
use crate::session::params;
use crate::{Store, StoreError, sql};

/// What waits and what is in work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Waits, and may be taken now.
    pub visible: u64,
    /// Waits for its next attempt, or for its key, which has as many under way as it may.
    pub delayed: u64,
    /// A worker has it.
    pub running: u64,
    /// Was given up.
    pub dead: u64,
    /// When the oldest that waits was queued.
    pub oldest: Option<Timestamp>,
}

impl Store {
    /// What waits and what is in work.
    pub async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        self.read(move |session| {
            let count = |sql: &str| session.one(sql, &[], |row| sql::count(row, "n"));
            let waiting = session.one(
                "SELECT COUNT(*) FILTER (WHERE visible_ms <= ?1) AS visible, COUNT(*) AS n, MIN(created_ms) AS oldest
                 FROM runs WHERE state = 'queued'",
                &params![now.as_millis()],
                |row| Ok((sql::count(row, "visible")?, sql::count(row, "n")?, sql::time_maybe(row, "oldest")?)),
            )?;
            let (visible, all, oldest) = waiting;
            // No worker more would have those begin.
            let visible = visible.saturating_sub(bounds::held_back(session, now)?);
            Ok(Backlog {
                visible,
                delayed: all - visible,
                running: count("SELECT COUNT(*) AS n FROM runs WHERE state = 'running'")?,
                dead: count("SELECT COUNT(*) AS n FROM runs WHERE state = 'dead' AND forget_ms IS NOT NULL")?,
                oldest,
            })
        })
        .await
    }
}
