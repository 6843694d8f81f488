//! The ways into the instances of this node.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use skylift_model::InstanceId;
use skylift_sandbox::{Door, Family};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long an instance may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The doors of the instances that run here. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Doors(Arc<RwLock<HashMap<InstanceId, Door>>>);

/// What became of an attempt to reach an instance.
#[derive(Debug)]
pub enum Reached {
    /// Connected.
    Stream(TcpStream),
    /// It does not run here.
    Elsewhere,
}

impl Doors {
    pub(crate) fn open(&self, id: InstanceId, door: Door) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id, door);
    }

    pub(crate) fn close(&self, id: &InstanceId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Connects to what an instance listens on. The connection belongs to the runtime it is made on.
    ///
    /// # Errors
    /// Where it runs here and does not accept, or has ended.
    pub async fn connect(&self, id: &InstanceId) -> io::Result<Reached> {
        let door = self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let Some(door) = door else { return Ok(Reached::Elsewhere) };
        connect(&door).await.map(Reached::Stream)
    }
}

/// Connects through a door, by IPv4.
pub(crate) async fn connect(door: &Door) -> io::Result<TcpStream> {
    let connected = timeout(CONNECT_WITHIN, async {
        let socket = socket(door).await?;
        let address: SocketAddr = door.address(Family::V4);
        TcpSocket::from_std_stream(socket.into()).connect(address).await
    });
    let connected = connected.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    if connected.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        door.note_refused();
    }
    let stream = connected?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn socket(door: &Door) -> io::Result<OwnedFd> {
    // Nearly always there is one in stock.
    if let Some(taken) = in_stock(door) {
        return taken;
    }
    let watched = watch(door)?;
    loop {
        watched.readable().await?.clear_ready();
        if let Some(taken) = in_stock(door) {
            return taken;
        }
    }
}

fn in_stock(door: &Door) -> Option<io::Result<OwnedFd>> {
    match door.take(Family::V4) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        taken => Some(taken),
    }
}

/// Registered anew for each wait, since each runtime has its own reactor.
#[expect(
    deprecated,
    reason = "an owned descriptor stays open for as long as it is registered, which is what the lint asks for"
)]
fn watch(door: &Door) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(door.watch(Family::V4)?, Interest::READABLE)
}
