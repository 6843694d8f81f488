//! Sessions on a SQLite file.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

use super::{Cell, Value};
use crate::StoreError;

/// Every statement of this crate, and room for more.
const STATEMENTS_KEPT: usize = 192;

pub(crate) struct SqliteSession(Connection);

impl SqliteSession {
    pub(crate) fn new(connection: Connection) -> Self {
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Self(connection)
    }

    pub(crate) fn all<T>(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(parameters))?;
        let mut values = Vec::new();
        while let Some(row) = rows.next()? {
            values.push(read(row)?);
        }
        Ok(values)
    }

    pub(crate) fn first<T>(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(parameters))?;
        rows.next()?.map(read).transpose()
    }

    pub(crate) fn execute(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError> {
        Ok(self.0.prepare_cached(sql)?.execute(params_from_iter(parameters))? as u64)
    }

    pub(crate) fn execute_each<'a, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'a>; N]>,
    ) -> Result<Vec<u64>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        sets.into_iter().map(|set| Ok(statement.execute(params_from_iter(set))? as u64)).collect()
    }

    /// Statements without parameters and answers, one after the other.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        for statement in sql.split("; ") {
            self.0.prepare_cached(statement)?.execute([])?;
        }
        Ok(())
    }

    pub(crate) fn roll_back(&self) {
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

pub(crate) fn cell(row: &Row<'_>, column: &str) -> Result<Cell, StoreError> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Integer(value),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
        ValueRef::Text(bytes) => Cell::Text(
            String::from_utf8(bytes.to_vec())
                .map_err(|_| StoreError::Damaged(format!("column {column} is no UTF-8")))?,
        ),
        ValueRef::Real(value) => return Err(StoreError::Damaged(format!("{column} = {value}"))),
    })
}
