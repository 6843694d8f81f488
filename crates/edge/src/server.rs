//! The edge as a whole: bind, run, drain.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use skylift_blob::Blobs;
use skylift_bus::{Bus, Subscription};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::config::{EdgeConfig, Limits};
use crate::connection;
use crate::content::Content;
use crate::control_plane::ControlPlane;
use crate::gateway::Gateway;
use crate::host::is_domain;
use crate::metrics::Metrics;
use crate::request_ids::RequestIds;
use crate::routes::follow::{Due, Follower, Retry};
use crate::routes::last_good::LastGood;
use crate::routes::source::RouteSource;
use crate::routes::state::States;
use crate::routes::view::Applied;
use crate::sites::Sites;
use crate::stopping::{self, Stopping};

/// How long to wait before accepting again when the process has no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where the edge finds what it serves.
#[derive(Clone)]
pub struct Stores {
    /// Artifacts and files.
    pub blobs: Blobs,
    /// Tells when routes change, and is told when they are applied.
    pub bus: Bus,
    /// The truth about routes.
    pub routes: Arc<dyn RouteSource>,
}

/// A listening edge with its first routes.
pub struct Edge {
    listener: TcpListener,
    local: SocketAddr,
    limits: Limits,
    gateway: Arc<Gateway>,
    follower: Follower,
    messages: Subscription,
}

/// Why an edge cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error("`{0}` is not a domain: lower-case labels joined by dots, such as `localhost` or `apps.example.com`")]
    Domain(String),
    #[error("listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
}

impl Edge {
    /// Listens and reads the first routes: from the source, or from the last good ones where that fails. Connections
    /// made from here on are answered once [`Edge::run`] is.
    pub async fn bind(
        config: EdgeConfig,
        stores: Stores,
        control_plane: ControlPlane,
        metrics: Metrics,
    ) -> Result<Self, EdgeError> {
        if !is_domain(&config.domain) {
            return Err(EdgeError::Domain(config.domain));
        }
        let listener = TcpListener::bind(config.listen).await;
        let listener = listener.map_err(|error| EdgeError::Listen(config.listen, error))?;
        let local = listener.local_addr().map_err(|error| EdgeError::Listen(config.listen, error))?;

        let limits = config.limits;
        let applied = Applied::default();
        let sites = Arc::new(Sites::new(stores.blobs.clone(), config.manifest_cache_bytes, limits.manifest_bytes_max));
        // Listen first, then read: a change in between is heard.
        let messages = stores.bus.subscribe();
        let states = States::new(stores.routes.clone());
        let mut follower = Follower {
            source: stores.routes,
            sites: sites.clone(),
            applied: applied.clone(),
            last_good: LastGood(config.last_good),
            bus: stores.bus,
            metrics: metrics.clone(),
            due: Due::default(),
            retry: Retry::default(),
        };
        follower.start().await;

        let gateway = Arc::new(Gateway {
            domain: config.domain,
            uri_bytes_max: limits.uri_bytes_max,
            routes: applied,
            states,
            sites,
            content: Content::new(stores.blobs, config.cache_bytes, metrics.clone()),
            control_plane,
            metrics,
            request_ids: RequestIds::default(),
        });
        Ok(Self { listener, local, limits, gateway, follower, messages })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The routes it serves, kept current.
    pub fn applied(&self) -> Applied {
        self.gateway.routes.clone()
    }

    /// Serves until `shutdown`, then stops accepting, ends what is in flight, and cuts what takes too long.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopping) = stopping::channel();
        let follower = tokio::spawn(self.follower.run(self.messages, stopping.clone()));
        let mut connections = JoinSet::new();

        let accepting = accept(self.listener, self.limits, &self.gateway, &stopping, &mut connections);
        tokio::select! {
            () = accepting => {}
            () = shutdown => {}
        }
        stop.tell();
        drain(&mut connections, self.limits.drain_timeout).await;
        let _ = follower.await;
    }
}

/// Accepts connections for ever, as many at a time as the limit.
async fn accept(
    listener: TcpListener,
    limits: Limits,
    gateway: &Arc<Gateway>,
    stopping: &Stopping,
    connections: &mut JoinSet<()>,
) {
    let protocol = connection::protocol(&limits);
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot,
            Some(ended) = connections.join_next() => { note(ended); continue }
        };
        let accepted = loop {
            tokio::select! {
                accepted = listener.accept() => break accepted,
                Some(ended) = connections.join_next() => note(ended),
            }
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_the_clients(&error) => continue,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let open = gateway.metrics.connection();
        let serving = connection::serve(stream, client, protocol.clone(), gateway.clone(), stopping.clone());
        connections.spawn(async move {
            serving.await;
            drop((slot, open));
        });
    }
}

async fn drain(connections: &mut JoinSet<()>, within: Duration) {
    let ended = timeout(within, async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    });
    if ended.await.is_err() {
        tracing::warn!(connections = connections.len(), "requests did not end in time and are cut");
        connections.shutdown().await;
    }
}

/// A panic ended one connection, and is our bug.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(error = &error as &dyn std::error::Error, "a connection ended in a panic");
    }
}

/// Errors of one connection that was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
