//! `/v1/workers`.

use axum::Json;
use skylift_model::wire::{RunBacklog, Worker, WorkerList, WorkerState, WorkerTold};

use crate::error::ApiError;
use crate::guard::Authorized;

/// Who runs code, how each is, and what waits for them.
#[utoipa::path(get, path = "/v1/workers", tag = "runs", responses((status = 200, body = WorkerList)))]
pub(crate) async fn list_workers(auth: Authorized) -> Result<Json<WorkerList>, ApiError> {
    let now = auth.clock.now();
    let rows = auth.store.workers().await?;
    let waits = auth.store.backlog(now).await?;
    let workers = rows.into_iter().filter_map(|row| {
        // One of a newer version may tell what nobody here understands.
        let told: WorkerTold = serde_json::from_str(&row.told).ok()?;
        let is_lost = now.since(row.at) >= WorkerTold::LOST_AFTER;
        let state = if is_lost { WorkerState::Lost } else { WorkerState::Ok };
        Some(Worker { name: row.name, state, told_at: row.at, told })
    });
    let oldest = waits.oldest.map(|oldest| now.since(oldest)).unwrap_or_default();
    let backlog = RunBacklog {
        visible: waits.visible,
        delayed: waits.delayed,
        running: waits.running,
        dead: waits.dead,
        oldest_ms: u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Json(WorkerList { workers: workers.collect(), backlog }))
}
