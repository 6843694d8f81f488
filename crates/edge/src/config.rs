//! What an edge needs to know before it listens.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderName;
use skylift_balance::StickyKey;

use crate::access::AccessLog;
use crate::clients::Network;
use crate::kept::config::CacheConfig;
use crate::rate::Rates;
use crate::upstream::ProxyConfig;

/// How one edge listens and what it may use.
#[derive(Clone)]
pub struct EdgeConfig {
    /// What this edge is called where it says what it serves: no spaces, and no other edge has it.
    pub name: String,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// A socket that listens there already: whoever had it before hands it over, and no client sees a gap.
    pub listener: Option<Arc<TcpListener>>,
    /// The bare domain: the control plane answers on it, apps and deployments on names below it.
    pub domain: String,
    /// Labels below it on which the control plane answers too, where no app has them.
    pub own_names: Vec<&'static str>,
    /// Where the last good routes are kept, for the time when the store cannot be asked.
    pub last_good: PathBuf,
    /// How many bytes of files may stay in memory.
    pub cache_bytes: u64,
    /// How many bytes of manifests that are not live may stay in memory; live ones always do.
    pub manifest_cache_bytes: u64,
    /// For how long after a deployment was replaced its immutable files answer where the new one lacks them; zero: not.
    pub skew_window: Duration,
    /// What one client may ask for.
    pub limits: Limits,
    /// How many requests clients and apps may take in a time.
    pub rates: Rates,
    /// Proxies in front of the edge: what they say of a client in `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// The header in which such a proxy names the client's country, as two letters; `None` where none does.
    pub country_header: Option<HeaderName>,
    /// How requests are passed on to other hosts.
    pub proxy: ProxyConfig,
    /// How much of their answers may be kept.
    pub cache: CacheConfig,
    /// How many threads serve; 0 is one for each core.
    pub threads: usize,
    /// What each of them does first, such as to ask for its turns.
    pub on_thread_start: fn(),
    /// What cookies are signed with that keep a visitor with an instance. Until it is there, nobody is kept.
    pub sticky_key: Arc<OnceLock<StickyKey>>,
    /// Where lines about requests go.
    pub access: AccessLog,
}

impl EdgeConfig {
    /// The defaults for an address, a domain and a place for the last good routes.
    pub fn new(listen: SocketAddr, domain: &str, last_good: PathBuf) -> Self {
        Self {
            name: "edge".to_owned(),
            listen,
            listener: None,
            domain: domain.to_owned(),
            own_names: Vec::new(),
            last_good,
            cache_bytes: 8 << 20,
            manifest_cache_bytes: 8 << 20,
            skew_window: Duration::from_secs(24 * 60 * 60),
            limits: Limits::default(),
            rates: Rates::default(),
            trusted_proxies: Vec::new(),
            country_header: None,
            proxy: ProxyConfig::default(),
            cache: CacheConfig::default(),
            threads: 0,
            on_thread_start: || {},
            sticky_key: Arc::default(),
            access: AccessLog::off(),
        }
    }
}

/// Bounds on what clients may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at one time; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Connections of one client address (IPv6: of one /64); more are closed at once. Not of trusted proxies.
    pub connections_per_client_max: usize,
    /// Bytes of a request's head, its first line included; more is 431.
    pub head_bytes_max: usize,
    /// Bytes of a request's target; more is 414.
    pub uri_bytes_max: usize,
    /// How long a request's head may take to arrive, and how long a new connection may say nothing.
    pub head_timeout: Duration,
    /// How long a connection may be idle between requests.
    pub idle_timeout: Duration,
    /// How long a client may send nothing while it owes the rest of a request's body; and how long it may let wait in all, but for
    /// a second for every 512 bytes that came.
    pub body_timeout: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_timeout: Duration,
    /// How long a WebSocket may be without a byte, either way, and a client of a gRPC call or its answer without a beginning.
    pub stream_timeout: Duration,
    /// How long requests may take to end after shutdown began.
    pub drain_timeout: Duration,
    /// Bytes of a manifest (the JSON); a larger one is not served.
    pub manifest_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 8192,
            head_bytes_max: 32 << 10,
            uri_bytes_max: 8 << 10,
            connections_per_client_max: 1024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            stream_timeout: Duration::from_secs(600),
            drain_timeout: Duration::from_secs(10),
            manifest_bytes_max: 128 << 20,
        }
    }
}
