//! Other hosts that sites pass requests on to.
//!
//! ```text
//! url ──Target::parse──▶ admit, resolve once, check every address, connect (egress) ──▶ pool ──▶ one request, one answer
//! ```
//!
//! The host is named by a site's rules, so whoever wrote them is not trusted: private addresses and this host's own are
//! refused unless the owner of the platform lists them, no redirect is followed, and connections are shared only by
//! requests of one app. Everything runs where the control plane does, so that an answer does not end with the thread of
//! the edge that happened to connect.

mod body;
pub(crate) mod config;
mod connect;
mod error;
mod exchange;
pub(crate) mod fields;
mod pool;
pub(crate) mod target;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use skylift_egress::{Dialer, Policy, Tls};
use tokio::sync::Semaphore;

pub(crate) use body::{GivenBody, SentBody};
pub(crate) use config::ProxyConfig;
pub(crate) use error::UpstreamError;
pub(crate) use exchange::Onward;
pub(crate) use target::Target;

use pool::Pool;

/// The port range that rules may name without the owner's leave.
const PORTS: [u16; 2] = [80, 443];

/// The way to other hosts. One for the whole edge.
pub(crate) struct Upstream {
    dialer: Dialer,
    tls: Tls,
    pool: Arc<Pool>,
    /// One for each connection, idle ones included.
    connections: Arc<Semaphore>,
    config: ProxyConfig,
    /// Where this edge itself answers.
    own: OwnPlace,
}

/// What of the world is this edge itself: passing a request on to it would be a loop.
pub(crate) struct OwnPlace {
    pub(crate) domain: String,
    pub(crate) listen: SocketAddr,
}

impl Upstream {
    pub(crate) fn new(config: ProxyConfig, own: OwnPlace) -> Self {
        let policy = Policy {
            ports: PORTS.to_vec(),
            services: Vec::new(),
            platform_hosts: None,
            app_hosts: None,
            rules: Vec::new(),
            owner_allowed: config.allow.clone(),
            setting: "[edge.proxy] allow",
        };
        let limits = skylift_egress::Limits {
            resolve: config.timeout,
            connect: config.timeout,
            ..skylift_egress::Limits::default()
        };
        Self {
            dialer: Dialer::new(policy, limits),
            tls: Tls::new(config.ca_file.clone()),
            pool: Arc::new(Pool::new(config.idle_connections_max, config.idle)),
            connections: Arc::new(Semaphore::new(config.connections_max)),
            config,
            own,
        }
    }

    /// How long another host may take to begin its answer.
    pub(crate) fn timeout(&self) -> Duration {
        self.config.timeout
    }

    /// How many bytes the body of a request may have.
    pub(crate) fn request_bytes_max(&self) -> u64 {
        self.config.request_bytes_max
    }

    /// Whether a host name leads to this platform.
    fn is_ours(&self, host: &str, port: u16) -> bool {
        let below =
            host.strip_suffix(self.own.domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        below && (PORTS.contains(&port) || port == self.own.listen.port())
    }

    /// Whether a connection ended up at this edge's own listener, whatever name it was asked for by.
    fn is_own_listener(&self, peer: SocketAddr, local: SocketAddr) -> bool {
        // Both ends on one address: the other end is this machine.
        let here = peer.ip() == local.ip() || is_loopback(peer.ip()) || peer.ip() == self.own.listen.ip();
        here && peer.port() == self.own.listen.port()
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
