//! The edge as a whole: bind, run, drain.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use skylift_blob::Blobs;
use skylift_bus::Bus;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::clients::Clients;
use crate::config::EdgeConfig;
use crate::content::Content;
use crate::control_plane::ControlPlane;
use crate::cuts::Cuts;
use crate::following::Following;
use crate::gateway::Gateway;
use crate::host::is_domain;
use crate::kept::Kept;
use crate::kept::purge::Purging;
use crate::links::{self, Linked, Links};
use crate::listener;
use crate::metrics::{Gauges, Metrics};
use crate::now;
use crate::places::Places;
use crate::program::{Groups, Instances, Sensing};
use crate::rate::shared::SharedBuckets;
use crate::rate::{OwnBuckets, Rates, TokenBuckets};
use crate::routes::due::{Due, Retry};
use crate::routes::follow::Follower;
use crate::routes::last_good::LastGood;
use crate::routes::source::RouteSource;
use crate::routes::state::States;
use crate::routes::view::Applied;
use crate::sites::Sites;
use crate::stopping;
use crate::upstream::{OwnPlace, Upstream};
use crate::workers::{Accepted, Workers};

/// How long to wait before accepting again when the process has no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long those may take to ask who were accepted last, where another process takes over and accepts all others.
const LAST_ONES_WITHIN: Duration = Duration::from_secs(1);

/// Where the edge finds what it serves.
#[derive(Clone)]
pub struct Stores {
    /// Artifacts and files.
    pub blobs: Blobs,
    /// Tells when routes change, and is told when they are applied.
    pub bus: Bus,
    /// The truth about routes.
    pub routes: Arc<dyn RouteSource>,
    /// The way to instances of apps.
    pub instances: Arc<dyn Instances>,
}

/// A listening edge with its first routes.
pub struct Edge {
    listener: TcpListener,
    local: SocketAddr,
    threads: usize,
    /// What each of them does first.
    first: fn(),
    gateway: Arc<Gateway>,
    /// Connections of apps to apps that they link.
    links: (Links, Linked),
    /// `None` where no sites are served.
    following: Option<Following>,
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
        let name = config.name.clone();
        let last_good = LastGood(config.last_good.clone());
        let mut edge = Self::without_sites(config, stores.clone(), control_plane, metrics.clone()).await?;
        // Listen first, then read: a change in between is heard.
        let (messages, purges) = (stores.bus.subscribe(), stores.bus.subscribe());
        let purging = Purging::new(edge.gateway.kept.clone(), stores.bus.clone(), name.clone());
        let groups = Groups::new(stores.bus.clone(), name.clone(), stores.instances.clone());
        let sensing = Sensing::new(groups.clone(), stores.bus.clone(), name.clone());
        let mut follower = Follower {
            source: stores.routes,
            sites: edge.gateway.sites.clone(),
            applied: edge.applied(),
            last_good,
            groups,
            bus: stores.bus,
            name,
            metrics,
            origin: None,
            due: Due::default(),
            retry: Retry::default(),
        };
        follower.start().await;
        edge.following = Some(Following { routes: (follower, messages), purges: (purging, purges), sensing });
        Ok(edge)
    }

    /// Listens for the control plane alone: no site is served, no route is followed.
    pub async fn without_sites(
        config: EdgeConfig,
        stores: Stores,
        control_plane: ControlPlane,
        metrics: Metrics,
    ) -> Result<Self, EdgeError> {
        if !is_domain(&config.domain) {
            return Err(EdgeError::Domain(config.domain));
        }
        let listener = match config.listener {
            Some(given) => given.try_clone().and_then(listener::given),
            None => listener::bind(config.listen).await,
        };
        let listener = listener.map_err(|error| EdgeError::Listen(config.listen, error))?;
        let local = listener.local_addr().map_err(|error| EdgeError::Listen(config.listen, error))?;
        let limits = config.limits;
        let sites = Sites::new(stores.blobs.clone(), config.manifest_cache_bytes, limits.manifest_bytes_max);
        metrics.count_dropped(config.access.clone());
        let buckets = config.rates.are_set().then(|| buckets(config.rates, &stores.bus));
        let own = OwnPlace { domain: config.domain.clone(), listen: local };
        let gateway = Arc::new(Gateway {
            domain: config.domain,
            own_names: config.own_names,
            limits,
            skew_window: config.skew_window,
            fast: true,
            routes: Applied::default(),
            states: States::new(stores.routes),
            sites: Arc::new(sites),
            content: Content::new(stores.blobs, config.cache_bytes, metrics.clone()),
            control_plane,
            elsewhere: Handle::current(),
            metrics: metrics.clone(),
            access: config.access,
            cuts: Cuts::default(),
            clients: Clients { trusted: config.trusted_proxies, country_header: config.country_header },
            upstream: Arc::new(Upstream::new(config.proxy, own)),
            kept: Arc::new(Kept::new(config.cache, metrics.clone())),
            instances: stores.instances,
            sticky_key: config.sticky_key,
            buckets,
        });
        let links_max = gateway.limits.connections_max;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if config.threads == 0 { cores } else { config.threads };
        let first = config.on_thread_start;
        Ok(Self { listener, local, threads, first, gateway, links: links::channel(links_max), following: None })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The way in for connections of apps to apps that they link.
    pub fn links(&self) -> Links {
        self.links.0.clone()
    }

    /// The routes it serves, kept current.
    pub fn applied(&self) -> Applied {
        self.gateway.routes.clone()
    }

    /// Its listener, for another process that is to go on with it.
    ///
    /// # Errors
    /// When this process has no descriptor left.
    pub fn listener(&self) -> io::Result<OwnedFd> {
        self.listener.as_fd().try_clone_to_owned()
    }

    /// Serves until `shutdown`, then stops accepting, ends what is in flight, and cuts what takes too long. From `leaving` on, with
    /// each answer clients are told to come back by a new connection, which another process will accept.
    pub async fn run(self, leaving: impl Future<Output = ()>, shutdown: impl Future<Output = ()>) {
        let (stop, stopping) = stopping::channel();
        let workers = match Workers::start(self.threads, self.first, &self.gateway, &stopping) {
            Ok(workers) => workers,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no thread can be started to serve");
                return;
            }
        };
        let leaves = stopping.clone();
        let following = self.following.map(|following| tokio::spawn(following.run(stopping)));
        let leave = async {
            leaving.await;
            stop.leave();
            std::future::pending().await
        };
        tokio::select! {
            () = leave => {}
            () = accept(self.listener, &self.gateway, &workers) => {}
            () = self.links.1.accept(&self.gateway, &workers) => {}
            () = shutdown => {}
        }
        // Nobody is accepted from here on. Who was accepted last has hardly sent anything yet.
        if leaves.is_leaving() {
            sleep(LAST_ONES_WITHIN).await;
        }
        stop.tell();
        let _ = tokio::task::spawn_blocking(move || workers.join()).await;
        if let Some(following) = following {
            let _ = following.await;
        }
        self.gateway.access.finish().await;
    }
}

/// Accepts connections for ever, as many at a time as the limit.
async fn accept(listener: TcpListener, gateway: &Gateway, workers: &Workers) {
    let limits = &gateway.limits;
    let places = Places::new(limits.connections_max, limits.connections_per_client_max, gateway.clients.clone());
    while let Some(place) = places.any().await {
        let accepted = loop {
            match listener.accept().await {
                Err(error) if is_the_clients(&error) => {}
                accepted => break accepted,
            }
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = places.give(place, peer) else {
            Gauges::add(&gateway.metrics.gauges().refused_total, 1);
            continue;
        };
        // Heads and small bodies leave in one write; waiting for more to send only delays them.
        let ready = stream.set_nodelay(true).and_then(|()| stream.local_addr());
        if let (Ok(local), Ok(stream)) = (ready, stream.into_std()) {
            let held = (place, gateway.metrics.connection(), None);
            workers.take(Accepted { stream, peer, local: local.ip(), held, linked: None });
        }
    }
}

/// Errors of one connection that was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Those of this process, or of all where there are others.
fn buckets(rates: Rates, bus: &Bus) -> Arc<dyn TokenBuckets> {
    if bus.is_shared() {
        Arc::new(SharedBuckets::new(rates, Instant::now(), (bus.clone(), now::clock()), Handle::current()))
    } else {
        Arc::new(OwnBuckets::new(rates, Instant::now()))
    }
}
