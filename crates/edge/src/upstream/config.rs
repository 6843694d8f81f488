//! What passing requests on may use.

use std::path::PathBuf;
use std::time::Duration;

use skylift_egress::OwnerEntry;

/// How requests are passed on to other hosts.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Private hosts, and ports other than 80 and 443, that rules may name.
    pub allow: Vec<OwnerEntry>,
    /// The certificates of authorities to trust, in PEM; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long the other host may take to be reached and to begin its answer, and how long it may then say nothing.
    pub timeout: Duration,
    /// How long a connection is kept for the next request.
    pub idle: Duration,
    /// Connections at one time, to all hosts together.
    pub connections_max: usize,
    /// Of them, how many may wait for their next request.
    pub idle_connections_max: usize,
    /// Bytes of a request's body.
    pub request_bytes_max: u64,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            ca_file: None,
            // As long as Netlify waits.
            timeout: Duration::from_secs(26),
            idle: Duration::from_secs(15),
            connections_max: 512,
            idle_connections_max: 128,
            request_bytes_max: 100 << 20,
        }
    }
}
