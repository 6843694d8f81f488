//! Room that instances wait for which their apps must have: until they are started, or nobody asks for them any more, nobody else
//! takes it.

use std::time::Duration;

use skylift_model::instance_type::Capacity;
use skylift_model::{AppName, Timestamp};

use crate::room::capacity;
use crate::session::{Session, params};
use crate::{StoreError, sql};

/// How long a claim holds that was asked for; whoever waits renews it, every five seconds at the latest.
pub(crate) const ASKED_FOR: Duration = Duration::from_secs(15);
/// How long one holds for what takes the place of an instance that has to end first: longer than that may take.
pub(crate) const ENDS_FIRST: Duration = Duration::from_secs(60);

/// What others than an app may count on.
pub(crate) fn of_others(session: &Session, node: &str, app: &AppName, now: Timestamp) -> Result<Capacity, StoreError> {
    session.one(
        "SELECT CAST(COALESCE(SUM(memory_bytes), 0) AS BIGINT) AS memory_bytes,
         CAST(COALESCE(SUM(cpu_millicores), 0) AS BIGINT) AS cpu_millicores
         FROM claims WHERE node = ?1 AND app != ?2 AND until_ms > ?3",
        &params![node, app.as_str(), now.as_millis()],
        capacity,
    )
}

/// An app waits for that much.
pub(crate) fn hold(
    session: &Session,
    node: &str,
    app: &AppName,
    wanted: Capacity,
    (holds, now): (Duration, Timestamp),
) -> Result<(), StoreError> {
    session.execute(
        "INSERT INTO claims (app, node, memory_bytes, cpu_millicores, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (app) DO UPDATE SET node = excluded.node, memory_bytes = excluded.memory_bytes,
         cpu_millicores = excluded.cpu_millicores, until_ms = excluded.until_ms",
        &params![
            app.as_str(),
            node,
            sql::signed(wanted.memory_bytes),
            sql::signed(wanted.cpu_millicores),
            now.plus(holds).as_millis()
        ],
    )?;
    Ok(())
}

/// An app waits for nothing any more.
pub(crate) fn give_up(session: &Session, app: &AppName) -> Result<(), StoreError> {
    session.execute("DELETE FROM claims WHERE app = ?1", &params![app.as_str()])?;
    Ok(())
}
