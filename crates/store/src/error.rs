//! Why the store did not do what it was asked.

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row.
    #[error("there is no {0}")]
    NotFound(String),
    /// The state of the rows does not allow it; the text says why.
    #[error("{0}")]
    Conflict(String),
    /// The job's lease was lost: it expired, was cancelled, or somebody else holds it.
    #[error("the lease on the job was lost")]
    Fenced,
    /// The idempotency key was used with another request.
    #[error("this Idempotency-Key was used before with another request")]
    IdempotencyMismatch,
    /// The disk is full.
    #[error("the disk with the database is full")]
    OutOfSpace,
    /// The database file was made by a newer version.
    #[error(
        "the database has schema {found}, this version knows {known}; start the newer version, or restore a backup"
    )]
    Newer { found: i64, known: i64 },
    /// A row does not hold what the schema promises.
    #[error("row is damaged: {0}")]
    Damaged(String),
    /// The database failed.
    #[error("database")]
    Database(#[source] rusqlite::Error),
    /// The disk did not take it.
    #[error("the disk with the database fails")]
    Disk(#[source] std::io::Error),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::OutOfSpace,
            _ => Self::Database(error),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull => Self::OutOfSpace,
            _ => Self::Disk(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}
