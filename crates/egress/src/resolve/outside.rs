//! What lies behind the door: the system's resolver and the network, replaced in tests by a made-up internet.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::host::HostName;

pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

pub(crate) trait Outside: Send + Sync {
    /// The addresses of a name, asked for once.
    fn resolve<'a>(&'a self, name: &'a HostName) -> Answer<'a, Vec<IpAddr>>;

    /// A connection to one address, which has been checked.
    fn connect(&self, address: SocketAddr) -> Answer<'_, TcpStream>;
}

/// The host's own resolver and network.
pub(crate) struct SystemOutside {
    lookups: Arc<Semaphore>,
}

/// A look-up cannot be given up once begun, and holds a thread that the whole platform shares, until the resolver's
/// own patience ends. A guest that asks for names of a dead server holds this many and no more.
const LOOKUPS_MAX: usize = 16;

impl Default for SystemOutside {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

impl Outside for SystemOutside {
    fn resolve<'a>(&'a self, name: &'a HostName) -> Answer<'a, Vec<IpAddr>> {
        Box::pin(async move {
            let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
            let host = name.to_string();
            let lookup = spawn_blocking(move || {
                let _held_until_the_resolver_returns = permit;
                let addresses = (host.as_str(), 0).to_socket_addrs()?;
                Ok(addresses.map(|address| address.ip()).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }

    fn connect(&self, address: SocketAddr) -> Answer<'_, TcpStream> {
        Box::pin(TcpStream::connect(address))
    }
}
