//! API tokens, by the digest of their secret.

use skylift_model::{Digest, Timestamp, TokenId};

use crate::session::params;
use crate::{Store, StoreError, sql};

/// A token as stored: never its secret.
#[derive(Clone, Debug)]
pub struct TokenRow {
    pub id: TokenId,
    pub name: String,
    pub sha256: Digest,
    pub created_at: Timestamp,
}

impl Store {
    /// Stores a token. One with the same digest stays as it is.
    pub async fn add_token(&self, name: String, sha256: Digest, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| {
            session.execute(
                "INSERT INTO tokens (id, name, sha256, created_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (sha256) DO NOTHING",
                &params![TokenId::new(now, sql::random()?).as_str(), &name, sha256.as_bytes(), now.as_millis()],
            )?;
            Ok(())
        })
        .await
    }

    /// Tokens of that name other than the one given stop working: the owner's token was replaced.
    pub async fn revoke_tokens_except(&self, name: String, keep: Digest, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| {
            session.execute(
                "UPDATE tokens SET revoked_ms = ?3 WHERE name = ?1 AND sha256 != ?2 AND revoked_ms IS NULL",
                &params![&name, keep.as_bytes(), now.as_millis()],
            )?;
            Ok(())
        })
        .await
    }

    /// Every token that works at `now`.
    pub async fn tokens(&self, now: Timestamp) -> Result<Vec<TokenRow>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT * FROM tokens WHERE revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?1)",
                &params![now.as_millis()],
                |row| {
                    Ok(TokenRow {
                        id: sql::parsed(row, "id")?,
                        name: row.get("name")?,
                        sha256: sql::digest(row, "sha256")?,
                        created_at: sql::time(row, "created_ms")?,
                    })
                },
            )
        })
        .await
    }
}
