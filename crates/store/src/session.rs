//! One connection to a database, in a transaction: what every statement of this crate runs on.
//!
//! There is one copy of each statement, in SQL that SQLite and PostgreSQL both read: parameters are `?1`, `?2`, …;
//! what an insert made is asked for with `RETURNING`; a parameter whose type does not follow from its place is cast.
//! Sessions are blocking and belong to one thread at a time.

mod foreseen;
mod numbered;
pub(crate) mod postgres;
mod refusal;
mod sqlite;
mod value;

pub(crate) use value::{Cell, FromCell, Value, params};

use crate::StoreError;
use postgres::PostgresSession;
use sqlite::SqliteSession;

/// What a commit is known by afterwards: who wrote, and how many commits of theirs it follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) writer: i64,
    pub(crate) batch: i64,
}

/// A connection to one of the databases we know.
pub(crate) enum Session {
    Sqlite(SqliteSession),
    Postgres(Box<PostgresSession>),
}

/// A row that a query found.
pub(crate) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// The value in a column.
    pub(crate) fn get<T: FromCell>(&self, column: &str) -> Result<T, StoreError> {
        let cell = match self {
            Self::Sqlite(row) => sqlite::cell(row, column)?,
            Self::Postgres(row) => postgres::cell(row, column)?,
        };
        T::from_cell(cell).ok_or_else(|| StoreError::Damaged(format!("column {column} holds another type")))
    }
}

impl Session {
    pub(crate) fn sqlite(connection: rusqlite::Connection) -> Self {
        Self::Sqlite(SqliteSession::new(connection))
    }

    /// All rows of a query, each read by `read`.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        match self {
            Self::Sqlite(session) => session.all(sql, parameters, |row| read(&Row::Sqlite(row))),
            Self::Postgres(session) => {
                session.query(sql, parameters)?.iter().map(|row| read(&Row::Postgres(row))).collect()
            }
        }
    }

    /// The first row of a query, if any.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self {
            Self::Sqlite(session) => session.first(sql, parameters, |row| read(&Row::Sqlite(row))),
            Self::Postgres(session) => {
                session.query(sql, parameters)?.first().map(|row| read(&Row::Postgres(row))).transpose()
            }
        }
    }

    /// The row of a query that always has one, such as an aggregate or an insert with `RETURNING`.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.first(sql, parameters, read)?.ok_or_else(|| StoreError::Damaged(format!("no row from {sql}")))
    }

    /// Whether a query finds anything.
    pub(crate) fn exists(&self, sql: &str, parameters: &[Value<'_>]) -> Result<bool, StoreError> {
        Ok(self.first(sql, parameters, |_| Ok(()))?.is_some())
    }

    /// Runs a statement; returns how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(session) => session.execute(sql, parameters),
            Self::Postgres(session) => session.execute(sql, parameters),
        }
    }

    /// Runs a statement once for each set of parameters, in their order; returns how many rows each changed.
    /// On PostgreSQL all are on their way at once, which spares a round trip for each.
    pub(crate) fn execute_each<'a, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'a>; N]>,
    ) -> Result<Vec<u64>, StoreError> {
        match self {
            Self::Sqlite(session) => session.execute_each(sql, sets),
            Self::Postgres(session) => session.execute_each(sql, sets),
        }
    }

    /// Asks a query once for each set of parameters whether it finds anything; in their order.
    pub(crate) fn exists_each<'a, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'a>; N]>,
    ) -> Result<Vec<bool>, StoreError> {
        match self {
            Self::Sqlite(session) => {
                sets.into_iter().map(|set| Ok(session.first(sql, &set, |_| Ok(()))?.is_some())).collect()
            }
            // A query answers with the number of rows it found, as a change does.
            Self::Postgres(session) => {
                Ok(session.execute_each(sql, sets)?.into_iter().map(|found| found > 0).collect())
            }
        }
    }

    /// Asks what will be asked next, before anything more is written: a change makes all of it forgotten. On PostgreSQL all of it is on its way at once, and whoever
    /// then asks one of these questions has the answer already: round trips are most of what a short query costs.
    pub(crate) fn foresee(&self, questions: &[(&str, &[Value<'_>])]) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(session) => session.foresee(questions),
        }
    }

    /// What an insert says that brings along the numbers which the table would give out itself.
    pub(crate) fn with_own_numbers(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => "OVERRIDING SYSTEM VALUE",
        }
    }

    /// Lets a table give out numbers beyond those it was brought.
    pub(crate) fn follow_numbers(&self, table: &str, column: &str) -> Result<(), StoreError> {
        let Self::Postgres(_) = self else { return Ok(()) };
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), COALESCE(MAX({column}), 0) + 1, false) AS next
             FROM {table}"
        );
        self.one(&sql, &[], |_| Ok(()))
    }

    /// Begins the one transaction that may write: waits until no other session is in one.
    pub(crate) fn begin_write(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(session) => session.batch("BEGIN IMMEDIATE"),
            Self::Postgres(session) => session.begin_write(),
        }
    }

    /// Begins a transaction that sees one snapshot and writes nothing.
    pub(crate) fn begin_read(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(session) => session.batch("BEGIN"),
            Self::Postgres(session) => session.begin_read(),
        }
    }

    /// Marks the point that [`Session::end_part`] may return to.
    pub(crate) fn begin_part(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(session) => session.batch("SAVEPOINT request"),
            Self::Postgres(session) => session.begin_part(),
        }
    }

    /// Ends a part of the transaction: its work stays in it, or is undone.
    pub(crate) fn end_part(&self, keep: bool) -> Result<(), StoreError> {
        let end = if keep { "RELEASE SAVEPOINT request" } else { "ROLLBACK TO request; RELEASE SAVEPOINT request" };
        match self {
            Self::Sqlite(session) => session.batch(end),
            Self::Postgres(session) => session.before_next(end),
        }
    }

    /// Ends a transaction that wrote; its work is durable when this returns. Where the answer is lost with the
    /// connection, another session can tell with [`Session::has`].
    pub(crate) fn commit_write(&self, mark: Mark) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(session) => session.batch("COMMIT"),
            Self::Postgres(session) => session.commit_write(mark),
        }
    }

    /// Whether what was committed under a mark is there. Asked in a transaction that may write: what waited for its
    /// end then has ended.
    pub(crate) fn has(&self, mark: Mark) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(false),
            Self::Postgres(session) => session.has(mark),
        }
    }

    /// Ends a transaction that read.
    pub(crate) fn commit(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(session) => session.batch("COMMIT"),
            Self::Postgres(session) => session.batch("COMMIT"),
        }
    }

    /// Leaves a transaction that failed, where the database did not end it by itself.
    pub(crate) fn roll_back(&self) {
        match self {
            Self::Sqlite(session) => session.roll_back(),
            Self::Postgres(session) => session.roll_back(),
        }
    }

    /// Whether the connection is of no use any more.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(session) => session.is_lost(),
        }
    }
}
