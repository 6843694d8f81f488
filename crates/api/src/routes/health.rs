//! Health and metrics.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use skylift_durable::Disk;

use crate::disk;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::services::Services;

/// The address a request came from, put there by the edge from the socket.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200)))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The process can do its work: the store answers, the disk has room and does not fail.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200), (status = 503)))]
pub(crate) async fn readyz(State(services): State<Arc<Services>>) -> (StatusCode, &'static str) {
    if services.store.job_counts().await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n");
    }
    if disk::free_bytes(&services.data_dir) < services.limits.disk_reserve_bytes {
        return (StatusCode::SERVICE_UNAVAILABLE, "the disk is full\n");
    }
    match disk::health(services.data_dir.clone()).await {
        Disk::Failing { .. } => (StatusCode::SERVICE_UNAVAILABLE, "the disk fails\n"),
        Disk::Slow { .. } => (StatusCode::OK, "ready, but the disk is slow\n"),
        Disk::Well => (StatusCode::OK, "ready\n"),
    }
}

/// Prometheus metrics, for the owner or for this machine itself.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, content_type = "text/plain"), (status = 401)))]
pub(crate) async fn metrics(State(services): State<Arc<Services>>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let is_local = parts.extensions.get::<ClientAddress>().is_some_and(|client| client.0.is_loopback());
    if !is_local {
        Authorized::from_request_parts(&mut parts, &services).await?;
    }
    let mut text = String::new();
    (services.metrics)(&mut text);
    queue_metrics(&services, &mut text).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

async fn queue_metrics(services: &Services, text: &mut String) -> Result<(), ApiError> {
    let now = services.clock.now();
    text.push_str("# TYPE skylift_jobs gauge\n");
    let mut ages = String::from("# TYPE skylift_queue_age_seconds gauge\n");
    for counts in services.store.job_counts().await? {
        let kind = counts.kind.as_str();
        for (state, count) in [("ready", counts.ready), ("leased", counts.leased), ("dead", counts.dead)] {
            let _ = writeln!(text, "skylift_jobs{{kind=\"{kind}\",state=\"{state}\"}} {count}");
        }
        let age = counts.oldest_ready.map_or(0.0, |at| now.since(at).as_secs_f64());
        let _ = writeln!(ages, "skylift_queue_age_seconds{{kind=\"{kind}\"}} {age:.3}");
    }
    text.push_str(&ages);
    Ok(())
}
