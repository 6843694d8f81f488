//! Rules for the networks of apps, as their owners set them by command.

use skylift_model::net::NetRules;
use skylift_model::{AppName, Timestamp};

use crate::idempotency::{Done, Once};
use crate::session::{Row, params};
use crate::{Store, StoreError, apps, sql};

/// What an owner set, as it is stored with an app.
pub(crate) fn read(row: &Row<'_>) -> Result<NetRules, StoreError> {
    Ok(sql::json_maybe(row, "net")?.unwrap_or_default())
}

impl Store {
    /// Sets the rules for an app's network in place of those that were set before. They are part of its routes.
    pub async fn set_net(
        &self,
        app: AppName,
        rules: NetRules,
        once: Once<NetRules>,
        now: Timestamp,
    ) -> Result<Done<NetRules>, StoreError> {
        self.write_once(once, now, move |session| {
            apps::find(session, &app)?;
            let json = serde_json::to_string(&rules).map_err(|error| StoreError::Damaged(error.to_string()))?;
            session.execute(
                "UPDATE apps SET net = ?2, generation = generation + 1 WHERE name = ?1",
                &params![app.as_str(), &json],
            )?;
            Ok(rules)
        })
        .await
    }
}
