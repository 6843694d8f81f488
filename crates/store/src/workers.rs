//! Who runs code: each tells again and again what it offers and does.

use skylift_model::Timestamp;

use crate::session::params;
use crate::{Store, StoreError, sql};

/// What a worker told last.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    pub name: String,
    pub at: Timestamp,
    /// JSON, as the worker wrote it.
    pub told: String,
}

impl Store {
    /// Notes what a worker tells.
    pub async fn tell_worker(&self, name: String, told: String, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| {
            session.execute(
                "INSERT INTO workers (name, at_ms, told) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET at_ms = excluded.at_ms, told = excluded.told",
                &params![&name, now.as_millis(), &told],
            )?;
            Ok(())
        })
        .await
    }

    /// Every worker that ever told anything and did not leave, by name.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>, StoreError> {
        self.read(|session| {
            session.all("SELECT * FROM workers ORDER BY name", &[], |row| {
                Ok(WorkerRow { name: row.get("name")?, at: sql::time(row, "at_ms")?, told: row.get("told")? })
            })
        })
        .await
    }

    /// A worker has left, or is so long away that nobody asks after it.
    pub async fn forget_worker(&self, name: String) -> Result<(), StoreError> {
        self.write(move |session| {
            session.execute("DELETE FROM workers WHERE name = ?1", &params![&name])?;
            Ok(())
        })
        .await
    }
}
