//! Which edges serve: a row each, for as long as it is renewed.

use std::time::Duration;

use skylift_model::Timestamp;

use crate::session::params;
use crate::{Store, StoreError};

/// How long the row of an edge that is gone is kept, so that its end can be seen.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

impl Store {
    /// An edge says that it serves, for a time.
    pub async fn renew_edge(&self, name: String, now: Timestamp, for_: Duration) -> Result<(), StoreError> {
        self.write(move |session| {
            session.execute(
                "INSERT INTO edges (name, until_ms) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET until_ms = EXCLUDED.until_ms",
                &params![&name, now.plus(for_).as_millis()],
            )?;
            let long_ago = now.as_millis() - i64::try_from(FORGOTTEN_AFTER.as_millis()).unwrap_or(i64::MAX);
            session.execute("DELETE FROM edges WHERE until_ms < ?1", &params![long_ago])?;
            Ok(())
        })
        .await
    }

    /// An edge says that it serves no longer.
    pub async fn end_edge(&self, name: String) -> Result<(), StoreError> {
        self.write(move |session| {
            session.execute("DELETE FROM edges WHERE name = ?1", &params![&name])?;
            Ok(())
        })
        .await
    }

    /// The edges that serve at `now`.
    pub async fn edges(&self, now: Timestamp) -> Result<Vec<String>, StoreError> {
        self.read(move |session| {
            session.all("SELECT name FROM edges WHERE until_ms > ?1 ORDER BY name", &params![now.as_millis()], |row| {
                row.get("name")
            })
        })
        .await
    }
}
