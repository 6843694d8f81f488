//! Deployments that run: requests go to one of their instances.
//!
//! ```text
//! routes ──Groups::follow──▶ one target group for each host label (app, deployment)
//! request ──▶ pick ──▶ line (a connection that waits, or a new one) ──▶ request ──▶ head ──▶ body, counted to its end
//! ```
//!
//! A connection belongs to the thread it was made on, as everything else of the request path, and to one instance.
//! Where an instance runs is known to whoever connects ([`Instances`]); nothing here assumes that it is near.

mod answered;
mod ask;
mod body;
mod failed;
pub(crate) mod framing;
mod groups;
mod line;
mod outbound;
mod pool;
pub(crate) mod raw;
mod sensing;
mod silent;
mod whole;

use std::io;
use std::pin::Pin;

use skylift_model::InstanceId;
use tokio::net::TcpStream;

pub(crate) use answered::Answered;
pub(crate) use ask::{Asking, HEAD_WITHIN, LATE_AFTER, connect};
pub(crate) use failed::{Attempts, Cause, Failed, Trouble};
pub(crate) use groups::Groups;
pub(crate) use line::drop_all;
pub(crate) use sensing::Sensing;
pub(crate) use whole::{REST_WITHIN, SMALL_BYTES_MAX};

/// A connection on its way.
pub type InstanceFuture<'i> = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + 'i>>;

/// The way to instances.
pub trait Instances: Send + Sync {
    /// Connects to an instance that runs on this node, on the caller's own runtime.
    fn connect<'i>(&'i self, instance: &'i InstanceId, node: &'i str) -> InstanceFuture<'i>;
}

/// For an edge that serves sites alone.
pub struct NoInstances;

impl Instances for NoInstances {
    fn connect<'i>(&'i self, _: &'i InstanceId, _: &'i str) -> InstanceFuture<'i> {
        Box::pin(async { Err(io::ErrorKind::NotConnected.into()) })
    }
}
