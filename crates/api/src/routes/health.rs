//! Health and metrics.

use std::fmt::Write;
use std::net::IpAddr;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use skylift_durable::Disk;
use skylift_model::key::Scope;

use crate::disk;
use crate::error::ApiError;
use crate::guard::{self, ROWS_WITHIN};
use crate::vitals::Vitals;

/// The address a request came from, put there by the edge from the socket.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// The process answers; and which of the limits and defences this machine gives less of, each in a line.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200)))]
pub(crate) async fn healthz(State(vitals): State<Vitals>) -> String {
    let reduced = vitals.missing.iter().map(|missing| format!("reduced: {missing}\n"));
    std::iter::once("ok\n".to_owned()).chain(reduced).collect()
}

/// The process can do its work: the store answers, the disk has room and does not fail.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200), (status = 503)))]
pub(crate) async fn readyz(State(vitals): State<Vitals>) -> (StatusCode, String) {
    let not_ready = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    if vitals.store.with_patience(ROWS_WITHIN).job_counts().await.is_err() {
        return not_ready("the store does not answer");
    }
    if disk::free_bytes(&vitals.data_dir) < vitals.disk_reserve_bytes {
        return not_ready("the disk is full");
    }
    let remark = match disk::health(vitals.data_dir).await {
        Disk::Failing { .. } => return not_ready("the disk fails"),
        Disk::Slow { .. } => Some("the disk is slow".to_owned()),
        Disk::Well => (vitals.remark)(),
    };
    (StatusCode::OK, remark.map_or("ready\n".to_owned(), |remark| format!("ready, but {remark}\n")))
}

/// Prometheus metrics, for the owner or for this machine itself.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, content_type = "text/plain"), (status = 401)))]
pub(crate) async fn metrics(
    State(vitals): State<Vitals>,
    client: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let vitals = Vitals { store: vitals.store.with_patience(ROWS_WITHIN), ..vitals };
    let is_local = client.is_some_and(|Extension(client)| client.0.is_loopback());
    if !is_local {
        let (_, grant) = guard::check(&headers, &vitals.store, vitals.clock.now()).await?;
        guard::demand(&grant, Scope::Everything)?;
    }
    let mut text = String::new();
    (vitals.metrics)(&mut text);
    queue_metrics(&vitals, &mut text).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

async fn queue_metrics(vitals: &Vitals, text: &mut String) -> Result<(), ApiError> {
    let now = vitals.clock.now();
    text.push_str("# TYPE skylift_jobs gauge\n");
    let mut ages = String::from("# TYPE skylift_queue_age_seconds gauge\n");
    for counts in vitals.store.job_counts().await? {
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
