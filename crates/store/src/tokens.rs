//! API keys, the owner's token among them: by the digest of their secret.

use skylift_model::key::{Grant, Quota, Rate};
use skylift_model::{Digest, Timestamp, TokenId};

use crate::error::Missing;
use crate::idempotency::{Done, Once};
use crate::session::{Row, params};
use crate::{Store, StoreError, runs, sql};

/// A key as stored: never its secret.
#[derive(Clone, Debug)]
pub struct TokenRow {
    pub id: TokenId,
    pub name: String,
    pub sha256: Digest,
    /// `None` for the owner's token, which may do everything.
    pub grant: Option<Grant>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// A key to be stored.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub sha256: Digest,
    pub grant: Grant,
    pub expires_at: Option<Timestamp>,
}

/// What is to be otherwise of a key; `None` for what stays.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    pub rate: Option<Option<Rate>>,
    pub at_once: Option<Option<u32>>,
    pub quota: Option<Option<Quota>>,
    pub priority_max: Option<Option<i32>>,
    pub expires_at: Option<Option<Timestamp>>,
}

impl KeyChange {
    fn apply(self, row: TokenRow) -> TokenRow {
        let grant = row.grant.map(|grant| Grant {
            scopes: grant.scopes,
            rate: self.rate.unwrap_or(grant.rate),
            at_once: self.at_once.unwrap_or(grant.at_once),
            quota: self.quota.unwrap_or(grant.quota),
            priority_max: self.priority_max.unwrap_or(grant.priority_max),
        });
        TokenRow { grant, expires_at: self.expires_at.unwrap_or(row.expires_at), ..row }
    }
}

const WORKS: &str = "revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?1)";

fn read(row: &Row<'_>) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: sql::parsed(row, "id")?,
        name: row.get("name")?,
        sha256: sql::digest(row, "sha256")?,
        grant: sql::json_maybe(row, "may")?,
        created_at: sql::time(row, "created_ms")?,
        expires_at: sql::time_maybe(row, "expires_ms")?,
    })
}

impl Store {
    /// Stores the owner's token. One with the same digest stays as it is.
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

    /// Stores a key.
    pub async fn add_key(
        &self,
        new: NewKey,
        once: Once<TokenRow>,
        now: Timestamp,
    ) -> Result<Done<TokenRow>, StoreError> {
        self.write_once(once, now, move |session| {
            let NewKey { name, sha256, grant, expires_at } = new;
            let id = TokenId::new(now, sql::random()?);
            let (may, bounded) = (serde_json::to_string(&grant)?, i64::from(runs::is_bounded(&grant)));
            let expires_ms = expires_at.map(Timestamp::as_millis);
            session.execute(
                "INSERT INTO tokens (id, name, sha256, may, bounded, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                &params![id.as_str(), &name, sha256.as_bytes(), &may, bounded, now.as_millis(), expires_ms],
            )?;
            Ok(TokenRow { id, name, sha256, grant: Some(grant), created_at: now, expires_at })
        })
        .await
    }

    /// Changes what a key may have, from the next request on. The owner's token stays as it is.
    pub async fn change_key(
        &self,
        id: TokenId,
        change: KeyChange,
        once: Once<TokenRow>,
        now: Timestamp,
    ) -> Result<Done<TokenRow>, StoreError> {
        self.write_once(once, now, move |session| {
            let query = format!("SELECT * FROM tokens WHERE {WORKS} AND id = ?2 AND may IS NOT NULL");
            let row = session.first(&query, &params![now.as_millis(), id.as_str()], read)?;
            let row = change.apply(row.ok_or(StoreError::NotFound(Missing::Key(id)))?);
            let may = serde_json::to_string(&row.grant)?;
            let expires_ms = row.expires_at.map(Timestamp::as_millis);
            let bounded = i64::from(row.grant.as_ref().is_some_and(runs::is_bounded));
            let sql = "UPDATE tokens SET may = ?2, expires_ms = ?3, bounded = ?4 WHERE id = ?1";
            session.execute(sql, &params![row.id.as_str(), &may, expires_ms, bounded])?;
            if let Some(grant) = &row.grant {
                runs::rest(session, &row.id, grant, now)?;
            }
            Ok(row)
        })
        .await
    }

    /// A key stops working, from now on, and what of its runs waits or is in work is cancelled in the same change. The owner's token does
    /// not: it is replaced.
    pub async fn revoke_key(&self, id: TokenId, once: Once<()>, now: Timestamp) -> Result<Done<()>, StoreError> {
        self.write_once(once, now, move |session| {
            let revoked = session.execute(
                "UPDATE tokens SET revoked_ms = ?2, bounded = 0
                 WHERE id = ?1 AND may IS NOT NULL AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?2)",
                &params![id.as_str(), now.as_millis()],
            )?;
            if revoked == 0 {
                return Err(StoreError::NotFound(Missing::Key(id)));
            }
            runs::cancel_all_of(session, &id, now)
        })
        .await
    }

    /// Tokens of that name other than the one given stop working: the owner's token was replaced.
    pub async fn revoke_tokens_except(&self, name: String, keep: Digest, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| {
            session.execute(
                "UPDATE tokens SET revoked_ms = ?3 WHERE name = ?1 AND sha256 != ?2 AND may IS NULL AND revoked_ms IS NULL",
                &params![&name, keep.as_bytes(), now.as_millis()],
            )?;
            Ok(())
        })
        .await
    }

    /// Every token that works at `now`, the oldest first.
    pub async fn tokens(&self, now: Timestamp) -> Result<Vec<TokenRow>, StoreError> {
        self.read(move |session| {
            session.all(&format!("SELECT * FROM tokens WHERE {WORKS} ORDER BY id"), &params![now.as_millis()], read)
        })
        .await
    }

    /// The token with this digest, if it works at `now`.
    pub async fn token(&self, sha256: Digest, now: Timestamp) -> Result<Option<TokenRow>, StoreError> {
        self.read_quickly(move |session| {
            let query = format!("SELECT * FROM tokens WHERE {WORKS} AND sha256 = ?2");
            session.first(&query, &params![now.as_millis(), sha256.as_bytes()], read)
        })
        .await
    }
}
