//! How the platform is, and clean-up on request.

use axum::Json;
use skylift_durable::Disk;
use skylift_model::wire::{CleanedUp, DiskStatus, MemoryStatus, NodeStatus, QueueStatus, Status};
use skylift_store::NodeRow;

use crate::crash_loops::crash_loops;
use crate::disk;
use crate::error::ApiError;
use crate::guard::Authorized;

/// Health, queues, disk, memory and isolation.
#[utoipa::path(get, path = "/v1/status", tag = "status", responses((status = 200, body = Status)))]
pub(crate) async fn status(auth: Authorized) -> Result<Json<Status>, ApiError> {
    let now = auth.clock.now();
    let counts = auth.store.job_counts().await?;
    let queue = |counts: &skylift_store::JobCounts| QueueStatus {
        kind: counts.kind.as_str().to_owned(),
        ready: counts.ready,
        leased: counts.leased,
        dead: counts.dead,
        oldest_ms: counts.oldest_ready.map_or(0, |at| u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX)),
    };
    let queues: Vec<QueueStatus> = counts.iter().map(queue).collect();
    let disk = disk_status(&auth).await?;
    let mut problems = problems(&queues, &disk, auth.blobs.lost_count());
    let health = disk::health(auth.data_dir.clone()).await;
    let is_slow = matches!(health, Disk::Slow { .. });
    problems.extend(disk::problem(&health));
    let mut crash_looping = Vec::new();
    for app in auth.store.apps_that_run().await? {
        let live = auth.store.app(app.clone()).await?.live;
        let rows = auth.store.instances(app.clone()).await?;
        let loops = crash_loops(live.as_ref(), &rows, now);
        crash_looping.extend(loops.iter().map(|one| format!("{} of {app}: {}", one.process, one.text(now))));
    }
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: u64::try_from(now.since(auth.started).as_millis()).unwrap_or(u64::MAX),
        healthy: problems.len() <= usize::from(is_slow),
        problems,
        crash_looping,
        apps: auth.store.apps().await?.len() as u64,
        deployments: auth.store.deployment_count().await?,
        queues,
        nodes: auth.store.nodes().await?.into_iter().map(node).collect(),
        disk,
        file_bytes_max: Some(auth.limits.file_bytes_max),
        memory: memory_status(),
        sandbox: auth.sandbox.clone(),
    }))
}

async fn disk_status(auth: &Authorized) -> Result<DiskStatus, ApiError> {
    let used = auth.blobs.used_bytes().await?;
    Ok(DiskStatus {
        used_bytes: used,
        budget_bytes: auth.bytes_budget,
        free_bytes: disk::free_bytes(&auth.data_dir),
        reserve_bytes: auth.limits.disk_reserve_bytes,
    })
}

fn node(row: NodeRow) -> NodeStatus {
    NodeStatus {
        name: row.name,
        instances: row.instances,
        memory_bytes: row.of.memory_bytes,
        memory_taken_bytes: row.taken.memory_bytes,
        cpu_millicores: row.of.cpu_millicores,
        cpu_taken_millicores: row.taken.cpu_millicores,
    }
}

fn problems(queues: &[QueueStatus], disk: &DiskStatus, lost: usize) -> Vec<String> {
    let mut problems = Vec::new();
    if disk.free_bytes < disk.reserve_bytes {
        problems.push("the disk is full: uploads and builds are refused until space is freed".to_owned());
    }
    for queue in queues.iter().filter(|queue| queue.dead > 0) {
        let jobs = if queue.dead == 1 { "job was" } else { "jobs were" };
        problems.push(format!("{} {} {jobs} given up; see `skylift jobs --dead`", queue.dead, queue.kind));
    }
    if lost > 0 {
        let files = if lost == 1 { "file is" } else { "files are" };
        problems.push(format!(
            "{lost} stored {files} damaged or missing: deploy the same folders again; the log names the deployments"
        ));
    }
    problems
}

/// From /proc, whose sizes are in pages and in kB.
fn memory_status() -> MemoryStatus {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let resident = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok()).unwrap_or(0);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let available = available.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0);
    let page = rustix::param::page_size() as u64;
    MemoryStatus { resident_bytes: resident * page, available_bytes: available << 10 }
}

/// Clean up now: deployments beyond those kept, and blobs that nothing names.
#[utoipa::path(post, path = "/v1/gc", tag = "status", responses((status = 200, body = CleanedUp)))]
pub(crate) async fn gc(auth: Authorized) -> Result<Json<CleanedUp>, ApiError> {
    Ok(Json((auth.clean_up)().await?))
}
