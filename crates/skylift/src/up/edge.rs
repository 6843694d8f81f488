//! What listens.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use skylift_edge::{Edge, EdgeConfig, Metrics, Stores};
use skylift_worker::Doors;

use super::folder::DataFolder;
use super::front::Front;
use super::presence::Presence;
use super::workers::Core;
use super::{ai, instances, services, sticky};
use crate::config::Config;

/// Listens: for sites and the control plane where this process is an edge, else for the control plane alone, or for those
/// who ask how the process is.
pub(super) async fn bind(
    mut edge_config: EdgeConfig,
    core: &Core,
    presence: Option<&Presence>,
    front: &Front,
    metrics: Metrics,
    doors: Doors,
) -> anyhow::Result<Edge> {
    let routes = Arc::new(services::StoreRoutes(core.store.clone()));
    let instances = Arc::new(instances::OwnInstances(doors));
    let stores = Stores { blobs: core.blobs.clone(), bus: core.bus.clone(), routes, instances };
    edge_config.sticky_key = sticky::learn(&core.store);
    let bound = match presence {
        Some(presence) => {
            edge_config.name = presence.name().to_owned();
            presence.say().await;
            Edge::bind(edge_config, stores, front.control_plane(), metrics).await
        }
        None => Edge::without_sites(edge_config, stores, front.control_plane(), metrics).await,
    };
    bound.context("start")
}

/// As the settings have it.
pub(super) fn settings(config: &Config, folder: &DataFolder, listen: SocketAddr) -> EdgeConfig {
    let mut edge_config = EdgeConfig::new(listen, &config.domain, folder.path().join("routes.json"));
    config.edge.apply(&mut edge_config);
    edge_config.own_names = vec![ai::NAME, skylift_api::PISTON];
    if config.judge0.enabled {
        edge_config.own_names.push(skylift_api::JUDGE0);
    }
    edge_config.access = crate::logging::access_log();
    edge_config.on_thread_start = go_at_once;
    edge_config
}

/// Who asks for a page waits for these threads: they run when there is something to do, not when others have had their turn.
fn go_at_once() {
    if let Err(error) = skylift_sandbox::take_short_turns() {
        tracing::warn!(%error, "threads that serve sites wait for long turns of others");
    }
}
