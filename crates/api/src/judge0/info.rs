//! What there is, and how it is set.

use std::thread::available_parallelism;

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};
use skylift_model::wire::WorkerTold;

use super::refusal::Refusal;
use super::submission::{CPU, CPU_EXTRA, FILE_SIZE, MEMORY, PROCESSES, RUNS, STACK, WALL};
use super::{languages, status};
use crate::guard::{Authorized, Runs as MayRun};

/// The interface that is answered here.
const VERSION: &str = "1.13.1";

/// `GET /languages`: those that are here, under one number each.
pub(super) async fn languages(auth: Authorized<MayRun>) -> Json<Value> {
    let known = languages::known(&auth.runs.languages().await, false);
    Json(known.iter().map(|one| json!({ "id": one.id, "name": one.name })).collect())
}

/// `GET /languages/all`: under all numbers that are taken.
pub(super) async fn all_languages(auth: Authorized<MayRun>) -> Json<Value> {
    let known = languages::known(&auth.runs.languages().await, true);
    Json(known.iter().map(|one| json!({ "id": one.id, "name": one.name, "is_archived": false })).collect())
}

/// `GET /languages/{id}`. With which commands one is compiled and run is the platform's business.
pub(super) async fn language(auth: Authorized<MayRun>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let known = languages::known(&auth.runs.languages().await, true);
    let one = known.into_iter().find(|one| one.id.to_string() == id).ok_or_else(Refusal::not_found)?;
    Ok(Json(json!({
        "id": one.id,
        "name": one.name,
        "is_archived": false,
        "source_file": one.file_name,
        "compile_cmd": null,
        "run_cmd": null,
    })))
}

/// `GET /statuses`
pub(super) async fn statuses(_: Authorized<MayRun>) -> Json<Value> {
    Json(status::ALL.iter().map(|(id, _)| status::told(*id)).collect())
}

/// `GET /config_info`
pub(super) async fn config(auth: Authorized<MayRun>) -> Json<Value> {
    let settings = auth.judge0;
    Json(json!({
        "maintenance_mode": false,
        "enable_wait_result": true,
        "enable_compiler_options": true,
        "allowed_languages_for_compile_options": [],
        "enable_command_line_arguments": true,
        "enable_submission_delete": settings.delete,
        "enable_callbacks": true,
        "callbacks_max_tries": 5,
        "callbacks_timeout": 10.0,
        "enable_additional_files": false,
        "max_queue_size": settings.queue_max,
        "cpu_time_limit": CPU.0,
        "max_cpu_time_limit": CPU.1,
        "cpu_extra_time": CPU_EXTRA.0,
        "max_cpu_extra_time": CPU_EXTRA.1,
        "wall_time_limit": WALL.0,
        "max_wall_time_limit": WALL.1,
        "memory_limit": whole(MEMORY.0),
        "max_memory_limit": whole(MEMORY.1),
        "stack_limit": whole(STACK.0),
        "max_stack_limit": whole(STACK.1),
        "max_processes_and_or_threads": whole(PROCESSES.0),
        "max_max_processes_and_or_threads": whole(PROCESSES.1),
        "enable_per_process_and_thread_time_limit": false,
        "allow_enable_per_process_and_thread_time_limit": false,
        "enable_per_process_and_thread_memory_limit": false,
        "allow_enable_per_process_and_thread_memory_limit": false,
        "max_file_size": whole(FILE_SIZE.0),
        "max_max_file_size": whole(FILE_SIZE.1),
        "number_of_runs": whole(RUNS.0),
        "max_number_of_runs": whole(RUNS.1),
        "redirect_stderr_to_stdout": false,
        "max_extract_size": 0,
        "enable_batched_submissions": true,
        "max_submission_batch_size": 20,
        "submission_cache_duration": 0.0,
        "use_docs_as_homepage": false,
        "allow_enable_network": false,
        "enable_network": false,
    }))
}

/// As theirs: without a fraction.
fn whole(number: f64) -> u64 {
    number as u64
}

/// `GET /system_info`
pub(super) async fn system(_: Authorized<MayRun>) -> Json<Value> {
    let processors = available_parallelism().map_or(1, usize::from);
    Json(json!({ "Architecture": std::env::consts::ARCH, "CPU(s)": processors.to_string() }))
}

/// `GET /workers`: one queue; what they call a worker is a run that may go on at a time.
pub(super) async fn workers(auth: Authorized<MayRun>) -> Result<Json<Value>, Refusal> {
    let now = auth.clock.now();
    let backlog = auth.store.backlog(now).await?;
    let rows = auth.store.workers().await?;
    let here = rows.iter().filter(|row| now.since(row.at) < WorkerTold::LOST_AFTER);
    let told: Vec<WorkerTold> = here.filter_map(|row| serde_json::from_str(&row.told).ok()).collect();
    let available: usize = told.iter().map(|worker| worker.at_once).sum();
    let working: usize = told.iter().map(|worker| worker.running).sum();
    Ok(Json(json!([{
        "queue": "default",
        "size": backlog.visible + backlog.delayed,
        "available": available,
        "idle": available.saturating_sub(working),
        "working": working,
        "paused": 0,
        "failed": backlog.dead,
    }])))
}

/// `GET /about`
pub(super) async fn about(auth: Authorized<MayRun>) -> Json<Value> {
    Json(json!({
        "version": VERSION,
        "homepage": auth.urls.platform(),
        "source_code": null,
        "maintainer": concat!("Skylift ", env!("CARGO_PKG_VERSION")),
    }))
}

/// `GET /version`
pub(super) async fn version(_: Authorized<MayRun>) -> &'static str {
    VERSION
}

/// `POST /authenticate`: whoever comes this far has a key that counts.
pub(super) async fn authenticate(_: Authorized<MayRun>) {}
