//! `/v1/keys`.

mod allowed;

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use skylift_model::key::{Grant, Scope};
use skylift_model::wire::{ChangeKey, CreateKey, ErrorEnvelope, Key, KeyList};
use skylift_model::{Digest, TokenId};
use skylift_store::{Done, KeyChange, NewKey, TokenRow, seal};

use crate::address::At;
use crate::body::Sent;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::{answered, recorded};

/// What every key begins with, so that one that leaked is known for what it is.
const PREFIX: &str = "skylift_key_";

/// The keys that work, without their secrets.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", responses((status = 200, body = KeyList)))]
pub(crate) async fn list_keys(auth: Authorized) -> Result<Json<KeyList>, ApiError> {
    let now = auth.clock.now();
    let rows = auth.store.tokens(now).await?;
    let (used, today) = (auth.store.ai_used().await?, auth.store.runs_used(now).await?);
    let told = |row: &TokenRow| Key { ai: used.get(&row.id).copied(), today: today.get(&row.id).copied(), ..view(row) };
    Ok(Json(KeyList { keys: rows.iter().filter(|row| row.grant.is_some()).map(told).collect() }))
}

/// Make a key. The answer tells it, this once: a repetition with the same Idempotency-Key has the rest of the answer.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = CreateKey,
    responses((status = 201, body = Key), (status = 422, body = ErrorEnvelope)))]
pub(crate) async fn create_key(auth: Authorized, Sent(request): Sent<CreateKey>) -> Result<Response, ApiError> {
    let CreateKey { name, scopes, expires_in_s, rate, at_once, quota, priority_max } = request;
    let grant = Grant { scopes, rate, at_once, quota, priority_max };
    allowed::name(&name)?;
    allowed::end(expires_in_s)?;
    allowed::grant(&grant)?;
    let secret = seal::new_secret()
        .map_err(|_| ApiError::internal(&std::io::Error::other("the system gives no random bytes")))?;
    let key = format!("{PREFIX}{secret}");
    let now = auth.clock.now();
    let once = auth.once(StatusCode::CREATED, |_, row: &TokenRow| view(row))?;
    let new = NewKey {
        name,
        sha256: Digest::of(key.as_bytes()),
        grant,
        expires_at: expires_in_s.map(|seconds| now.plus(Duration::from_secs(seconds))),
    };
    match auth.store.add_key(new, once, now).await? {
        Done::Now(row, _) => {
            let told = Key { key: Some(key), ..view(&row) };
            Ok(recorded((StatusCode::CREATED, [("cache-control", "no-store")], Json(told)).into_response()))
        }
        before => Ok(answered(before)),
    }
}

/// Change what a key may have, from its next request on: what is left out stays as it is, `null` takes a limit away. Its scopes stay.
#[utoipa::path(patch, path = "/v1/keys/{key}", tag = "keys", params(("key" = String, Path)), request_body = ChangeKey,
    responses((status = 200, body = Key), (status = 404, body = ErrorEnvelope), (status = 422, body = ErrorEnvelope)))]
pub(crate) async fn change_key(
    auth: Authorized,
    At(key): At<TokenId>,
    Sent(change): Sent<ChangeKey>,
) -> Result<Response, ApiError> {
    let now = auth.clock.now();
    let ChangeKey { expires_in_s, rate, at_once, quota, priority_max } = change;
    // What it is for does not change, so this is as it will be. One that is not there is told so by who changes it.
    let row = auth.store.tokens(now).await?.into_iter().find(|row| row.id == key);
    let scopes = row.and_then(|row| row.grant).map_or(vec![Scope::Runs], |grant| grant.scopes);
    allowed::end(expires_in_s.flatten())?;
    allowed::grant(&Grant {
        scopes,
        rate: rate.flatten(),
        at_once: at_once.flatten(),
        quota: quota.flatten(),
        priority_max: priority_max.flatten(),
    })?;
    let expires_at = expires_in_s.map(|end| end.map(|seconds| now.plus(Duration::from_secs(seconds))));
    let change = KeyChange { rate, at_once, quota, priority_max, expires_at };
    let once = auth.once(StatusCode::OK, |_, row: &TokenRow| view(row))?;
    Ok(answered(auth.store.change_key(key, change, once, now).await?))
}

/// A key stops working at once. What of its runs waits or is in work is cancelled with it.
#[utoipa::path(delete, path = "/v1/keys/{key}", tag = "keys", params(("key" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn revoke_key(auth: Authorized, At(key): At<TokenId>) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::NO_CONTENT, |_, (): &()| ())?;
    let revoked = auth.store.revoke_key(key.clone(), once, auth.clock.now()).await?;
    auth.under_way.revoke(key);
    Ok(answered(revoked))
}

fn view(row: &TokenRow) -> Key {
    let grant = row.grant.clone().unwrap_or_else(Grant::everything);
    Key {
        id: row.id.clone(),
        name: row.name.clone(),
        key: None,
        scopes: grant.scopes,
        created_at: row.created_at,
        expires_at: row.expires_at,
        rate: grant.rate,
        at_once: grant.at_once,
        quota: grant.quota,
        priority_max: grant.priority_max,
        today: None,
        ai: None,
    }
}
