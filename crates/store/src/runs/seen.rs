//! What whoever scales workers sees of runs.

use std::collections::HashMap;
use std::time::Duration;

use skylift_model::{RunId, Timestamp};

use crate::session::params;
use crate::{Store, StoreError, sql};

/// No time to wait is longer: one that seems to be was given before the clock was set back.
const LONGEST: Duration = Duration::from_secs(120);

/// What whoever scales workers sees of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunsSeen {
    /// How many wait and may be taken now: `ApproximateNumberOfMessagesVisible`.
    pub visible: u64,
    /// How many each worker holds, by its name.
    pub held: HashMap<String, u64>,
    /// How many were queued since a time.
    pub queued: u64,
}

impl Store {
    /// How many runs wait and may be taken now.
    pub async fn runs_visible(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.read(move |session| {
            let absurd = now.plus(LONGEST).as_millis();
            let sql = "SELECT COUNT(*) AS n FROM runs WHERE state = 'queued' AND (visible_ms <= ?1 OR visible_ms > ?2)";
            session.one(sql, &params![now.as_millis(), absurd], |row| sql::count(row, "n"))
        })
        .await
    }

    /// What whoever scales workers sees; queued are those since `since`.
    pub async fn runs_seen(&self, since: Timestamp, now: Timestamp) -> Result<RunsSeen, StoreError> {
        let visible = self.runs_visible(now).await?;
        self.read(move |session| {
            let held = session.all(
                "SELECT worker, COUNT(*) AS n FROM runs WHERE state = 'running' AND worker IS NOT NULL GROUP BY worker",
                &[],
                |row| Ok((row.get::<String>("worker")?, sql::count(row, "n")?)),
            )?;
            // One that was over before it was kept was never queued: nobody took it.
            let queued = session.one(
                "SELECT COUNT(*) AS n FROM runs WHERE id > ?1 AND NOT (state = 'done' AND worker IS NULL)",
                &params![RunId::new(since, 0).as_str()],
                |row| sql::count(row, "n"),
            )?;
            Ok(RunsSeen { visible, held: held.into_iter().collect(), queued })
        })
        .await
    }
}
