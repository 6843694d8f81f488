//! What one process at a time does for all: who that is, for as long as it says so again and again.

use std::time::Duration;

use skylift_model::Timestamp;

use crate::session::params;
use crate::{Store, StoreError, sql};

/// Nobody leads for longer without saying so: a time further away was given before the clock was set back.
const LONGEST: Duration = Duration::from_secs(120);

/// Who leads, and what it told last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadRow {
    pub holder: String,
    pub until: Timestamp,
    /// JSON, as whoever leads wrote it.
    pub told: Option<String>,
}

impl Store {
    /// Leads, for a time, where nobody else does; whether it is so. What it told before stays where it tells nothing. One statement: of two who ask, one leads.
    pub async fn lead(
        &self,
        what: &'static str,
        holder: String,
        told: Option<String>,
        now: Timestamp,
        for_: Duration,
    ) -> Result<bool, StoreError> {
        self.write(move |session| {
            let (until, absurd) = (now.plus(for_).as_millis(), now.plus(LONGEST).as_millis());
            let leads = session.execute(
                "INSERT INTO leads (what, holder, until_ms, told) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (what) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms,
                    told = COALESCE(excluded.told, leads.told)
                 WHERE leads.holder = excluded.holder OR leads.until_ms <= ?5 OR leads.until_ms > ?6",
                &params![what, &holder, until, told.as_deref(), now.as_millis(), absurd],
            )?;
            Ok(leads == 1)
        })
        .await
    }

    /// Leads no longer.
    pub async fn end_lead(&self, what: &'static str, holder: String) -> Result<(), StoreError> {
        self.write(move |session| {
            session.execute("DELETE FROM leads WHERE what = ?1 AND holder = ?2", &params![what, &holder])?;
            Ok(())
        })
        .await
    }

    /// Who leads at `now`, if anybody does.
    pub async fn leader(&self, what: &'static str, now: Timestamp) -> Result<Option<LeadRow>, StoreError> {
        self.read(move |session| {
            let sql = "SELECT * FROM leads WHERE what = ?1 AND until_ms > ?2";
            session.first(sql, &params![what, now.as_millis()], |row| {
                Ok(LeadRow { holder: row.get("holder")?, until: sql::time(row, "until_ms")?, told: row.get("told")? })
            })
        })
        .await
    }
}
