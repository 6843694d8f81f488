//! Which apps were removed: a row that says so, since one that is only missing may have been lost.
//!
//! Written with the removal, taken away where the name is given to an app again: whatever is here happened last.

use std::collections::HashSet;
use std::time::Duration;

use skylift_model::{AppName, Timestamp};

use crate::session::{Session, params};
use crate::{Store, StoreError, sql};

/// How long it is remembered: who serves routes and was away for longer must be told by hand.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Notes that an app is removed, in the transaction that does it.
pub(crate) fn note(session: &Session, name: &AppName, now: Timestamp) -> Result<(), StoreError> {
    session.execute(
        "INSERT INTO removed_apps (name, removed_ms) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET removed_ms = EXCLUDED.removed_ms",
        &params![name.as_str(), now.as_millis()],
    )?;
    Ok(())
}

/// There is an app of this name again.
pub(crate) fn take_back(session: &Session, name: &AppName) -> Result<(), StoreError> {
    session.execute("DELETE FROM removed_apps WHERE name = ?1", &params![name.as_str()])?;
    Ok(())
}

/// Forgets removals that everybody has heard of.
pub(crate) fn forget(session: &Session, now: Timestamp) -> Result<(), StoreError> {
    let before = now.as_millis() - i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    session.execute("DELETE FROM removed_apps WHERE removed_ms < ?1", &params![before])?;
    Ok(())
}

impl Store {
    /// Those of these apps that are not there although nobody removed them: their rows were lost.
    pub async fn lost_apps(&self, mut apps: Vec<AppName>) -> Result<Vec<AppName>, StoreError> {
        self.read(move |session| {
            let accounted = "SELECT name FROM apps UNION ALL SELECT name FROM removed_apps";
            let accounted: Vec<AppName> = session.all(accounted, &[], |row| sql::parsed(row, "name"))?;
            let accounted: HashSet<AppName> = accounted.into_iter().collect();
            apps.retain(|app| !accounted.contains(app));
            Ok(apps)
        })
        .await
    }
}
