//! A database file: how it is opened and brought up to date.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{missing, newest};
use crate::StoreError;

/// Opens the file for writing and applies what is missing, each migration in a transaction of its own.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    // SQLite gives its other files the permissions of this one: only the owner reads what is in them.
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| StoreError::Damaged(format!("cannot open {}: {error}", path.display())))?;
    let connection = Connection::open(path)?;
    // FULL: a commit that was answered survives a power cut. WAL: readers never wait for the writer.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA busy_timeout = 5000; PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -2048;",
    )?;
    plan_once(&connection)?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > newest() {
        return Err(StoreError::Newer { found, known: newest() });
    }
    for (version, migration) in missing(found) {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {migration} PRAGMA user_version = {version}; COMMIT;"))?;
    }
    Ok(connection)
}

/// Opens the file for reading only.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA cache_size = -1024;")?;
    plan_once(&connection)?;
    Ok(connection)
}

/// Has statements be planned by their text alone. Else SQLite looks at the values that they are given, for which a partial index might be
/// of use, and plans them anew each time they come out of the cache: that was most of what it costs to queue a run.
fn plan_once(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    /// What was answered survives a power cut by these two settings alone: tests that cut files back see no pages of SQLite's.
    #[test]
    fn a_commit_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&folder.path().join("skylift.db")).unwrap();
        let asks = |name| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, String>(0));
        assert_eq!(asks("journal_mode").unwrap(), "wal");
        let synchronous: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
        assert_eq!(synchronous, 2, "FULL: the log is synced at every commit, not only at checkpoints");
    }

    /// How often queuing a run is planned again, of so many times.
    fn planned_again(connection: &Connection, times: usize) -> i32 {
        let sql = "INSERT INTO runs (id, token, language, priority, sha256, ttl_ms, visible_ms, created_ms, turn)
             VALUES (?1, ?2, '', ?3, x'', 0, 0, 0, COALESCE((SELECT own.turn + 1 FROM runs AS own
                 WHERE own.token = ?2 AND own.priority = ?3 AND own.state = 'queued' ORDER BY own.turn DESC LIMIT 1), 0))";
        let statement = || connection.prepare_cached(sql).unwrap();
        for time in 0..times {
            statement().execute((format!("{times} {time}"), "key", 0)).unwrap();
        }
        statement().get_status(StatementStatus::RePrepare)
    }

    #[test]
    fn a_statement_is_planned_once_whatever_values_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&folder.path().join("skylift.db")).unwrap();
        assert_eq!(planned_again(&connection, 10), 0);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, false).unwrap();
        assert!(planned_again(&connection, 9) > 5, "the control: SQLite looks at the values");
    }
}
