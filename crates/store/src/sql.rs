//! How values of the vocabulary are kept in columns.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use skylift_model::{Digest, Timestamp};

use crate::StoreError;
use crate::session::Row;

/// A text column that holds a name or an id.
pub(crate) fn parsed<T: FromStr>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| StoreError::Damaged(format!("{column} = {text:?}")))
}

/// The same, where the column may be empty.
pub(crate) fn parsed_maybe<T: FromStr>(row: &Row<'_>, column: &str) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|_| StoreError::Damaged(format!("{column} = {text:?}")))).transpose()
}

/// A text column that holds JSON, or nothing.
pub(crate) fn json_maybe<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.get(column)?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

/// A column with the 32 bytes of a digest.
pub(crate) fn digest(row: &Row<'_>, column: &str) -> Result<Digest, StoreError> {
    Ok(Digest::from_bytes(row.get(column)?))
}

/// A column with milliseconds since the epoch.
pub(crate) fn time(row: &Row<'_>, column: &str) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_millis(row.get(column)?))
}

/// The same, where the column may be empty.
pub(crate) fn time_maybe(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.get::<Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// A count or size column.
pub(crate) fn count(row: &Row<'_>, column: &str) -> Result<u64, StoreError> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| StoreError::Damaged(format!("{column} = {value}")))
}

/// A number for a column; theirs are signed.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Random bits for a new id.
pub(crate) fn random() -> Result<u64, StoreError> {
    let mut bytes = [0; 8];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .map_err(|_| StoreError::Damaged("the system gave no random bytes".to_owned()))?;
    Ok(u64::from_ne_bytes(bytes))
}
