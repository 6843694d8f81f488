//! `/v1/workers` and `/v1/tuner`.

use axum::Json;
use skylift_model::Timestamp;
use skylift_model::wire::{
    Pace, RunBacklog, Tuner, TunerList, Worker, WorkerList, WorkerScaling, WorkerState, WorkerTold, Workforce,
};
use skylift_store::WorkerRow;

use crate::error::ApiError;
use crate::guard::Authorized;

/// Who runs code, how each is, and what waits for them.
#[utoipa::path(get, path = "/v1/workers", tag = "runs", responses((status = 200, body = WorkerList)))]
pub(crate) async fn list_workers(auth: Authorized) -> Result<Json<WorkerList>, ApiError> {
    let now = auth.clock.now();
    let rows = auth.store.workers().await?;
    let waits = auth.store.backlog(now).await?;
    let workers: Vec<Worker> = rows.into_iter().filter_map(|row| worker(row, now)).collect();
    let scaling = auth.store.leader(WorkerScaling::LEAD, now).await?;
    let scaling = scaling.and_then(|leader| serde_json::from_str(&leader.told?).ok());
    let workforce = workforce(&workers, waits.visible, scaling);
    let oldest = waits.oldest.map(|oldest| now.since(oldest)).unwrap_or_default();
    let backlog = RunBacklog {
        visible: waits.visible,
        delayed: waits.delayed,
        running: waits.running,
        dead: waits.dead,
        oldest_ms: u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Json(WorkerList { workers, backlog, workforce }))
}

fn workforce(workers: &[Worker], visible: u64, scaling: Option<WorkerScaling>) -> Workforce {
    let here = || workers.iter().filter(|worker| worker.state == WorkerState::Ok);
    let count =
        |drains| u32::try_from(here().filter(|worker| worker.told.drains == drains).count()).unwrap_or(u32::MAX);
    let (in_service, draining) = (count(false), count(true));
    let mut lately = Pace::default();
    here().for_each(|worker| lately.add(worker.told.lately));
    Workforce {
        in_service,
        starting: scaling.as_ref().map_or(0, |scaling| scaling.starting),
        draining,
        backlog_per_instance: visible as f64 / f64::from(in_service.max(1)),
        per_worker_second: lately.per_worker_second(),
        scaling,
    }
}

/// How warm each worker keeps the languages that it runs, what it has learnt of them, and why it is set so.
#[utoipa::path(get, path = "/v1/tuner", tag = "runs", responses((status = 200, body = TunerList)))]
pub(crate) async fn get_tuner(auth: Authorized) -> Result<Json<TunerList>, ApiError> {
    let now = auth.clock.now();
    let rows = auth.store.workers().await?;
    let tuners = rows.into_iter().filter_map(|row| {
        let Worker { name, state, told_at, told } = worker(row, now)?;
        Some(Tuner { worker: name, state, told_at, told: told.tuner? })
    });
    Ok(Json(TunerList { tuners: tuners.collect() }))
}

fn worker(row: WorkerRow, now: Timestamp) -> Option<Worker> {
    // One of a newer version may tell what nobody here understands.
    let told: WorkerTold = serde_json::from_str(&row.told).ok()?;
    let is_lost = now.since(row.at) >= WorkerTold::LOST_AFTER;
    let state = if is_lost { WorkerState::Lost } else { WorkerState::Ok };
    Some(Worker { name: row.name, state, told_at: row.at, told })
}
