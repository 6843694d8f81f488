//! What an address is told of a run, and what that is signed with.

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use skylift_model::TokenId;
use skylift_model::wire::{CallbackSecret, ErrorEnvelope};
use skylift_queue::{Queue, QueueError};
use skylift_store::RunRow;
use skylift_store::seal::{KEY_BYTES, MasterKey, Unopened};

use super::view;
use crate::error::ApiError;
use crate::guard::{Authorized, Runs as MayRun};
use crate::judge0;

/// What an address is told.
#[derive(Clone, Debug)]
pub struct Callback {
    /// Whether by `PUT`; else by `POST`.
    pub is_put: bool,
    /// JSON.
    pub body: Vec<u8>,
    /// What it is signed with: that of the key that asked for the run.
    pub secret: [u8; KEY_BYTES],
}

/// Why it cannot be said what is told.
#[derive(Debug, thiserror::Error)]
pub enum Untold {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Key(#[from] Unopened),
}

/// What is told of a run that has settled: as whoever asks for it gets it, in the words of the interface that it was asked for by.
///
/// # Errors
/// As the stores fail.
pub async fn callback(queue: &Queue, key: &MasterKey, row: &RunRow) -> Result<Callback, Untold> {
    let job = queue.job(row).await?;
    let ending = queue.ending(row).await?;
    let secret = secret(key, &row.token)?;
    let is_put = row.via.as_deref() == Some(judge0::NAME);
    let body = if is_put {
        judge0::told(row, &job, ending.as_ref())
    } else {
        let mut run = view::kept(row, &job, ending);
        // How far the telling is matters to nobody who is told.
        run.callback = None;
        // A plain struct: serialising it cannot fail.
        serde_json::to_vec(&run).unwrap_or_default()
    };
    Ok(Callback { is_put, body, secret })
}

fn secret(key: &MasterKey, token: &TokenId) -> Result<[u8; KEY_BYTES], Unopened> {
    key.derive(&format!("callback/{token}"))
}

/// What callbacks are signed with for runs of the key that asks.
#[utoipa::path(get, path = "/v1/callback-secret", tag = "runs",
    responses((status = 200, body = CallbackSecret), (status = 401, body = ErrorEnvelope)))]
pub(crate) async fn get_callback_secret(auth: Authorized<MayRun>) -> Result<Response, ApiError> {
    let secret = secret(&auth.key, &auth.token).map_err(|error| ApiError::internal(&error))?;
    let secret = format!("whsec_{}", BASE64_STANDARD.encode(secret));
    Ok(([("cache-control", "no-store")], Json(CallbackSecret { secret })).into_response())
}
