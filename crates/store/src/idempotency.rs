//! One effect per key: the record of a key is part of the transaction that has the effect.

use rusqlite::{Connection, params};
use skylift_model::{Digest, Timestamp, TokenId};

use crate::{StoreError, sql};

/// A client's promise that two requests with this key are the same request.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// Whose key it is.
    pub token: TokenId,
    /// The client's key.
    pub key: String,
    /// The digest of method, path and body.
    pub request: Digest,
}

/// What the key made before, if it was used; an error if it was used with another request.
pub(crate) fn earlier(connection: &Connection, key: Option<&Idempotency>) -> Result<Option<String>, StoreError> {
    let Some(key) = key else { return Ok(None) };
    let found = sql::first(
        connection,
        "SELECT request, resource FROM idempotency WHERE token = ?1 AND key = ?2",
        params![key.token.as_str(), key.key],
        |row| Ok((sql::digest(row, "request")?, row.get::<_, String>("resource")?)),
    )?;
    match found {
        Some((request, _)) if request != key.request => Err(StoreError::IdempotencyMismatch),
        Some((_, resource)) => Ok(Some(resource)),
        None => Ok(None),
    }
}

/// Remembers what the key made.
pub(crate) fn record(
    connection: &Connection,
    key: Option<&Idempotency>,
    resource: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(key) = key {
        connection.execute(
            "INSERT INTO idempotency (token, key, request, resource, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![key.token.as_str(), key.key, key.request.as_bytes(), resource, now.as_millis()],
        )?;
    }
    Ok(())
}
