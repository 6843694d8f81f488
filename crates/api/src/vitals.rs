//! What a process tells of itself, whatever its roles are: whether it is well, whether it is ready, its numbers.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use skylift_model::Clock;
use skylift_store::Store;

use crate::routes::health;
use crate::services::{Metrics, Remark, Services};

/// What it is told from. Cheap to clone.
#[derive(Clone)]
pub struct Vitals {
    pub store: Store,
    pub clock: Clock,
    /// The data folder, whose disk is watched.
    pub data_dir: PathBuf,
    /// What must be left free of it for the process to be ready.
    pub disk_reserve_bytes: u64,
    /// Numbers from the parts of the process.
    pub metrics: Metrics,
    /// What they have to tell although the process is ready.
    pub remark: Remark,
    /// What of its isolation this machine does not give.
    pub missing: Vec<String>,
}

impl FromRef<Arc<Services>> for Vitals {
    fn from_ref(services: &Arc<Services>) -> Self {
        Self {
            store: services.store.clone(),
            clock: services.clock.clone(),
            data_dir: services.data_dir.clone(),
            disk_reserve_bytes: services.limits.disk_reserve_bytes,
            metrics: services.metrics.clone(),
            remark: services.remark.clone(),
            missing: services.sandbox.missing.clone(),
        }
    }
}

/// The endpoints about the process itself, beside others or alone.
pub(crate) fn routes<S>() -> Router<S>
where
    Vitals: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
}

/// What a process answers that has no part of the API.
pub fn vitals_router(vitals: Vitals) -> Router {
    routes().with_state(vitals)
}
