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

/// What came of an attempt to connect. Who is not let in (another password, no right to log in, a database that was renamed or takes
/// nobody) may be let in later: that is for whoever runs the server, and until then it is as good as away.
pub(super) fn shut_out(error: StoreError) -> StoreError {
    let StoreError::Database(cause) = &error else { return error };
    let told = cause.downcast_ref().and_then(tokio_postgres::Error::as_db_error);
    match told.filter(|told| is_of_the_door(told.code())) {
        Some(told) => StoreError::Unavailable(format!("the server lets nobody in: {}", told.message())),
        None => error,
    }
}

/// Authorization (28), the catalogue's name (3D), rights (42501), a database that is not to be connected to (55).
fn is_of_the_door(code: &SqlState) -> bool {
    ["28", "3D", "42501", "55"].iter().any(|class| code.code().starts_with(class))
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
        &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        &SqlState::QUERY_CANCELED,
        // Somebody works on a table, or on the row.
        &SqlState::LOCK_NOT_AVAILABLE,
        // A disk of the server's that fails.
        &SqlState::IO_ERROR,
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::T_R_DEADLOCK_DETECTED,
        // After a failover, for as long as the client still talks to what became a copy.
        &SqlState::READ_ONLY_SQL_TRANSACTION,
        // A newer program changed a table: statements prepared before are of no use.
        &SqlState::FEATURE_NOT_SUPPORTED,
    ];
    // A connection that broke (08), too little of something on the server (53, of which a full disk was told before), an
    // operator who ended something (57P: sessions, the database, the server).
    passing.contains(&code) || ["08", "53", "57P"].iter().any(|class| code.code().starts_with(class))
}
