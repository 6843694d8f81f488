//! `/v1/keys`.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use skylift_model::key::{Grant, Quota, Rate, Scope};
use skylift_model::wire::{CreateKey, ErrorEnvelope, Key, KeyList};
use skylift_model::{Digest, TokenId};
use skylift_store::{Done, NewKey, TokenRow, seal};

use crate::address::At;
use crate::body::Sent;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::{answered, recorded};

/// What every key begins with, so that one that leaked is known for what it is.
const PREFIX: &str = "skylift_key_";
const NAME_BYTES_MAX: usize = 100;
/// What a bucket can count.
const RUNS_MAX: u32 = 1_000_000;
const PER_S_MAX: u32 = 86_400;
const AT_ONCE_MAX: u32 = 10_000;
const QUOTA_RUNS_MAX: u32 = 1_000_000_000;
const QUOTA_CPU_S_MAX: u32 = 1_000_000_000;

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
    check(&request)?;
    let CreateKey { name, scopes, expires_in_s, rate, at_once, quota } = request;
    let secret = seal::new_secret()
        .map_err(|_| ApiError::internal(&std::io::Error::other("the system gives no random bytes")))?;
    let key = format!("{PREFIX}{secret}");
    let now = auth.clock.now();
    let once = auth.once(StatusCode::CREATED, |_, row: &TokenRow| view(row))?;
    let new = NewKey {
        name,
        sha256: Digest::of(key.as_bytes()),
        grant: Grant { scopes, rate, at_once, quota },
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

/// A key stops working at once. What of its runs waits or is in work is cancelled with it.
#[utoipa::path(delete, path = "/v1/keys/{key}", tag = "keys", params(("key" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn revoke_key(auth: Authorized, At(key): At<TokenId>) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::NO_CONTENT, |_, (): &()| ())?;
    Ok(answered(auth.store.revoke_key(key, once, auth.clock.now()).await?))
}

fn check(request: &CreateKey) -> Result<(), ApiError> {
    let name = request.name.trim();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let message = format!("a key's name has 1 to {NAME_BYTES_MAX} bytes, none of them a control character");
        return Err(ApiError::invalid(message, "as in `{\"name\": \"judge\", \"scopes\": [\"runs\"]}`"));
    }
    if request.scopes.is_empty() {
        return Err(ApiError::invalid("a key without scopes may do nothing", "as in `\"scopes\": [\"runs\"]`"));
    }
    if request.expires_in_s == Some(0) {
        return Err(ApiError::invalid(
            "a key that has expired already is none",
            "leave `expires_in_s` out, or say more",
        ));
    }
    if let Some(Rate { runs, per_s, burst }) = request.rate {
        let is_counted = (1..=RUNS_MAX).contains(&runs)
            && (1..=PER_S_MAX).contains(&per_s)
            && burst.is_none_or(|burst| (1..=RUNS_MAX).contains(&burst));
        if !is_counted {
            let message = format!("a rate is 1 to {RUNS_MAX} runs (and burst) in 1 to {PER_S_MAX} seconds");
            return Err(ApiError::invalid(message, "as in `\"rate\": {\"runs\": 100, \"per_s\": 60}`"));
        }
    }
    if request.at_once.is_some_and(|count| !(1..=AT_ONCE_MAX).contains(&count)) {
        let message = format!("`at_once` is 1 to {AT_ONCE_MAX}");
        return Err(ApiError::invalid(message, "leave it out for as many as there are"));
    }
    check_quota(request.quota)?;
    let is_limited = request.rate.is_some() || request.at_once.is_some() || request.quota.is_some();
    if request.scopes.contains(&Scope::Everything) && is_limited {
        let message = "a key for everything has no limits: whoever has it could make another without";
        return Err(ApiError::invalid(message, "give it the scope `runs`"));
    }
    Ok(())
}

fn check_quota(quota: Option<Quota>) -> Result<(), ApiError> {
    let Some(Quota { runs_per_day, cpu_s_per_day }) = quota else { return Ok(()) };
    let counts = [(runs_per_day, QUOTA_RUNS_MAX), (cpu_s_per_day, QUOTA_CPU_S_MAX)];
    let is_counted = counts.iter().all(|(count, most)| count.is_none_or(|count| (1..=*most).contains(&count)));
    if !is_counted || (runs_per_day.is_none() && cpu_s_per_day.is_none()) {
        let message = format!(
            "a quota is 1 to {QUOTA_RUNS_MAX} runs, or 1 to {QUOTA_CPU_S_MAX} seconds of processor time, a day"
        );
        return Err(ApiError::invalid(message, "as in `\"quota\": {\"runs_per_day\": 1000, \"cpu_s_per_day\": 3600}`"));
    }
    Ok(())
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
        today: None,
        ai: None,
    }
}
