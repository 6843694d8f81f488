//! A database file: how it is opened and brought up to date.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

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
    Ok(connection)
}

#[cfg(test)]
mod tests {
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
}
