//! The request path: from a socket to the bytes of a deployment, or to the control plane.
//!
//! ```text
//! server → workers → connection → fast ──▶ routes → site (find, decide) → content → one write → access log, metrics
//!                                   │                └ an app that runs: relay → an instance → one write
//!                                   └ odd: strict → host → control plane
//!                                                     └▶ routes → sites → site → content → body → access log, metrics
//!                                                                         └ a rule: kept (answers) → upstream (another host)
//! ```
//!
//! What it serves is a snapshot: a request takes the route table as it stands, and the site it leads to, and keeps
//! both to its end, so that going live in the middle of a download changes nothing for it. There is no path on a
//! disk made from a request: an address is looked up in the manifest of the deployment, and bytes are found by
//! digest. Nothing here writes to the store, and nothing here needs it: without it, the last routes go on.

// Under these names, the fuzz target that lies in `fuzz/` is compiled as one of our tests.
#[cfg(test)]
extern crate self as libfuzzer_sys;
#[cfg(test)]
extern crate self as skylift_edge;
#[cfg(test)]
use differential::tests::fuzz_target;

mod accept;
mod access;
mod body;
mod clients;
mod conditional;
mod config;
mod connection;
mod content;
mod control_plane;
mod cuts;
#[cfg(any(test, feature = "differential"))]
#[doc(hidden)]
pub mod differential;
mod encoding;
mod fast;
mod following;
mod gateway;
mod host;
mod hung_up;
mod incoming;
mod kept;
mod links;
mod listener;
mod metrics;
mod now;
mod pace;
mod page;
mod path;
mod places;
mod plain;
mod program;
mod range;
mod rate;
mod relay;
mod request_ids;
mod rewind;
mod routes;
mod sendfile;
mod server;
mod shard;
mod site;
mod sites;
mod stopping;
mod stream;
mod strict;
mod supervise;
mod through;
mod transport;
mod upstream;
mod websocket;
mod wire;
mod workers;

pub use access::{AccessLog, AccessStyle};
pub use body::{BodyError, EdgeBody};
pub use clients::{InvalidNetwork, Network};
pub use config::{EdgeConfig, Limits};
pub use control_plane::{ClientAddress, ControlPlane, ControlPlaneFuture, OwnName};
pub use incoming::RequestBody;
pub use kept::config::CacheConfig;
pub use links::Links;
pub use metrics::Metrics;
pub use program::{InstanceFuture, Instances, NoInstances};
pub use rate::{Bucket, FullAt, Rate, Rates, TokenBuckets};
pub use routes::source::{RouteSource, SourceError, SourceFuture};
pub use routes::view::Applied;
pub use server::{Edge, EdgeError, Stores};
pub use skylift_balance::StickyKey;
pub use skylift_egress::OwnerEntry;
pub use upstream::config::ProxyConfig;
