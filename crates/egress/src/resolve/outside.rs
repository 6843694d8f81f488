//! What lies behind the door: the system's resolver and the network, replaced in tests by a made-up internet.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use tokio::net::TcpStream;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
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
    /// What this one has in common with all of its kind.
    of_all: Option<&'static Arc<Semaphore>>,
}

/// A look-up cannot be given up once begun, and holds a thread that the whole platform shares, until the resolver's
/// own patience ends. A guest that asks for names of a dead server holds this many and no more…
const LOOKUPS_OF_GUEST_MAX: usize = 4;
/// …and all guests together so many: a quarter of the threads that there may be.
const LOOKUPS_OF_GUESTS_MAX: usize = 128;
/// Of a role of the platform.
const LOOKUPS_MAX: usize = 16;

impl Default for SystemOutside {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)), of_all: None }
    }
}

impl SystemOutside {
    /// One for a guest.
    pub(crate) fn of_guest() -> Self {
        static OF_ALL: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS_OF_GUESTS_MAX)));
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS_OF_GUEST_MAX)), of_all: Some(&*OF_ALL) }
    }

    /// A place for one look-up.
    async fn place(&self) -> Result<Place, AcquireError> {
        let own = Arc::clone(&self.lookups).acquire_owned().await?;
        let of_all = match self.of_all {
            Some(of_all) => Some(Arc::clone(of_all).acquire_owned().await?),
            None => None,
        };
        Ok((own, of_all))
    }
}

type Place = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

impl Outside for SystemOutside {
    fn resolve<'a>(&'a self, name: &'a HostName) -> Answer<'a, Vec<IpAddr>> {
        Box::pin(async move {
            let place = self.place().await.map_err(io::Error::other)?;
            let host = name.to_string();
            let lookup = spawn_blocking(move || {
                let _held_until_the_resolver_returns = place;
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
