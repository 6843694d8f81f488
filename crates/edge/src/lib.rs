//! The request path: from a socket to the bytes of a deployment, or to the control plane.
//!
//! ```text
//! server → connection → host → control plane
//!                           └→ routes → sites → site (find, decide) → content → body → access log, metrics
//! ```
//!
//! What it serves is a snapshot: a request takes the route table as it stands, and the site it leads to, and keeps
//! both to its end, so that going live in the middle of a download changes nothing for it. There is no path on a
//! disk made from a request: an address is looked up in the manifest of the deployment, and bytes are found by
//! digest. Nothing here writes to the store, and nothing here needs it: without it, the last routes go on.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)
)]

mod accept;
mod access;
mod body;
mod conditional;
mod config;
mod connection;
mod content;
mod control_plane;
mod encoding;
mod gateway;
mod host;
mod metrics;
mod page;
mod path;
mod range;
mod request_ids;
mod routes;
mod server;
mod site;
mod sites;
mod stopping;
mod stream;

pub use body::{BodyError, EdgeBody};
pub use config::{EdgeConfig, Limits};
pub use control_plane::{ClientAddress, ControlPlane, ControlPlaneFuture};
pub use metrics::Metrics;
pub use routes::source::{RouteSource, SourceError, SourceFuture};
pub use routes::view::Applied;
pub use server::{Edge, EdgeError, Stores};
