//! One connection, from its first byte to its last.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use skylift_model::AppName;

use crate::fast::{Ended, Fast};
use crate::gateway::Gateway;
use crate::stopping::Stopping;
use crate::strict::Protocols;
use crate::transport::Transport;

/// Serves a connection to its end: plain requests at once, and from the first other one on by the strict
/// implementation. `linked`: the one app that it leads to.
pub(crate) async fn serve<T: Transport>(
    io: T,
    (peer, local): (SocketAddr, IpAddr),
    protocols: Protocols,
    gateway: Arc<Gateway>,
    stopping: Stopping,
    linked: Option<AppName>,
) {
    let mut fast = Fast::new(io, gateway.clone(), peer, local, stopping.clone());
    fast.never = linked.is_some();
    let Ended::Odd(io, unread) = fast.run().await else { return };
    // In a box: a connection that only ever sends plain requests does without its room.
    Box::pin(protocols.serve(io, unread, (peer, local), gateway, stopping, linked)).await;
}
