//! What a PostgreSQL server, or the way to it, says when it does not do what it was asked.

use tokio_postgres::error::SqlState;

use crate::StoreError;

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(told) = error.as_db_error() else {
            return if is_of_a_statement(&error) {
                Self::Database(error.into())
            } else {
                Self::Unavailable(skylift_model::chain(&error))
            };
        };
        match told.code() {
            &SqlState::DISK_FULL => Self::OutOfSpace,
            code if passes(code) => Self::Unavailable(told.message().to_owned()),
            _ => Self::Database(error.into()),
        }
    }
}

/// Whether an error that the server did not tell is about one statement, and not about the connection.
fn is_of_a_statement(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    ["error serializing", "error deserializing", "invalid column", "expected "]
        .iter()
        .any(|start| text.starts_with(start))
}

/// What the server says when it stops, starts, is full for the moment, or ended a transaction in favour of another.
fn passes(code: &SqlState) -> bool {
    let passing = [
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::TOO_MANY_CONNECTIONS,
        &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        &SqlState::QUERY_CANCELED,
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::T_R_DEADLOCK_DETECTED,
        // After a failover, for as long as the client still talks to what became a copy.
        &SqlState::READ_ONLY_SQL_TRANSACTION,
        // A newer program changed a table: statements prepared before are of no use.
        &SqlState::FEATURE_NOT_SUPPORTED,
    ];
    passing.contains(&code) || code.code().starts_with("08")
}
