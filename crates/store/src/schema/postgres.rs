//! A database on a server: how it is brought up to date, by whichever process comes first.

use super::{in_postgres_words, missing, newest};
use crate::StoreError;
use crate::session::postgres::PostgresSession;
use crate::session::{FromCell, postgres};

/// Tables that only a server needs: which migrations were applied, and what each writer committed last.
const OWN_TABLES: &str = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL);
     CREATE TABLE IF NOT EXISTS writers (
         id BIGINT PRIMARY KEY, batch BIGINT NOT NULL, at TIMESTAMPTZ NOT NULL DEFAULT now());
     DELETE FROM writers WHERE at < now() - INTERVAL '7 days'";

/// Applies what is missing, all in one transaction that holds the writer's lock.
pub(crate) fn bring_up_to_date(session: &PostgresSession) -> Result<(), StoreError> {
    session.begin_write()?;
    let done = migrate(session).and_then(|()| session.batch("COMMIT"));
    if done.is_err() {
        session.roll_back();
    }
    done
}

fn migrate(session: &PostgresSession) -> Result<(), StoreError> {
    session.batch(OWN_TABLES)?;
    let rows = session.query("SELECT COALESCE(MAX(version), 0) AS version FROM schema_version", &[])?;
    let found = rows.first().map(|row| postgres::cell(row, "version")).transpose()?;
    let found = found.and_then(i64::from_cell).unwrap_or(0);
    if found > newest() {
        return Err(StoreError::Newer { found, known: newest() });
    }
    for (version, migration) in missing(found) {
        session.batch(&in_postgres_words(migration))?;
        session.batch(&format!("INSERT INTO schema_version (version) VALUES ({version})"))?;
    }
    Ok(())
}
