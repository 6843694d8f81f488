//! Runs of keys that were revoked: none of them waits, is in work, or is queued any more.
//!
//! Who writes does so alone, so what is queued is either seen by who revokes, or sees that it was.

use std::collections::BTreeSet;

use skylift_model::{Timestamp, TokenId};

use super::cancel::CANCEL;
use crate::error::Missing;
use crate::session::{Session, params};
use crate::{StoreError, sql};

/// Why such a run did not come to its end.
const REVOKED: &str = "its key was revoked";

/// Cancels what of a key's runs has not settled.
pub(crate) fn cancel_all_of(session: &Session, token: &TokenId, now: Timestamp) -> Result<(), StoreError> {
    let cancel = format!("{CANCEL} WHERE token = ?1 AND state IN ('queued', 'running')");
    session.execute(&cancel, &params![token.as_str(), now.as_millis(), REVOKED])?;
    Ok(())
}

/// Refuses to queue anything for keys of which one was revoked.
pub(super) fn refuse<'t>(session: &Session, tokens: impl IntoIterator<Item = &'t TokenId>) -> Result<(), StoreError> {
    let tokens: BTreeSet<&str> = tokens.into_iter().map(TokenId::as_str).collect();
    for token in tokens {
        let sql = "SELECT id FROM tokens WHERE id = ?1 AND revoked_ms IS NOT NULL";
        if let Some(id) = session.first(sql, &params![token], |row| sql::parsed(row, "id"))? {
            return Err(StoreError::NotFound(Missing::Key(id)));
        }
    }
    Ok(())
}
