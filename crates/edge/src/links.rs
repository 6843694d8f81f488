//! Connections of apps to apps that they link: handed over in this process, never accepted from a network.
//!
//! Each leads to one app, whatever host its requests name, and is held by whoever handed it over until it has ended.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use skylift_model::AppName;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::clients::Clients;
use crate::gateway::Gateway;
use crate::places::Places;
use crate::workers::{Accepted, Workers};

/// What stands for the client's address: an instance chooses its own, so that it says nothing. No proxy is declared there.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
/// Connections that wait to be taken.
const WAITING_MAX: usize = 64;

/// Of the places that there are for connections of links, one app has this part at most.
const SHARE: usize = 4;

/// Hands connections over. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    give: mpsc::Sender<Handed>,
    shares: Arc<Shares>,
}

/// How many connections each app may have at a time.
struct Shares {
    each: usize,
    of: Mutex<HashMap<AppName, Arc<Semaphore>>>,
}

/// The other end.
pub(crate) struct Linked(mpsc::Receiver<Handed>);

struct Handed {
    stream: TcpStream,
    app: AppName,
    ended: oneshot::Sender<()>,
}

/// For so many connections.
pub(crate) fn channel(connections_max: usize) -> (Links, Linked) {
    let (give, take) = mpsc::channel(WAITING_MAX);
    let each = (connections_max / SHARE).clamp(1, Semaphore::MAX_PERMITS);
    (Links { give, shares: Arc::new(Shares { each, of: Mutex::default() }) }, Linked(take))
}

impl Links {
    /// Hands over a connection of the app `from` that leads to `app`, and waits until it has ended. One beyond its share
    /// waits for another of its own to end. `false` where no edge takes it.
    pub async fn hand_over(&self, stream: TcpStream, from: &AppName, app: AppName) -> bool {
        let Ok(_place) = self.shares.of(from).acquire_owned().await else { return false };
        let (ended, told) = oneshot::channel();
        let handed = self.give.send(Handed { stream, app, ended }).await.is_ok();
        // Nobody says anything: it is dropped.
        let _ = told.await;
        handed
    }
}

impl Shares {
    fn of(&self, app: &AppName) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has a connection, or waits for one, holds it as well.
        of.retain(|_, share| Arc::strong_count(share) > 1);
        of.entry(app.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.each))).clone()
    }
}

impl Linked {
    /// Has them served, as many at a time as other connections may be.
    pub(crate) async fn accept(mut self, gateway: &Gateway, workers: &Workers) {
        let most = gateway.limits.connections_max;
        let places = Places::new(most, most, Clients::default());
        while let Some(Handed { stream, app, ended }) = self.0.recv().await {
            let Some(place) = places.any().await.and_then(|place| places.give(place, NOBODY)) else { continue };
            if let (Ok(()), Ok(stream)) = (stream.set_nodelay(true), stream.into_std()) {
                let held = (place, gateway.metrics.connection(), Some(ended));
                let (peer, local) = (NOBODY, NOBODY.ip());
                workers.take(Accepted { stream, peer, local, held, linked: Some(app) });
            }
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_app_has_its_share_and_takes_nothing_of_the_others() {
        let (links, _linked) = channel(8);
        let (greedy, other): (AppName, AppName) = ("greedy".parse().unwrap(), "other".parse().unwrap());
        let held: Vec<_> = (0..2).map(|_| links.shares.of(&greedy).try_acquire_owned().unwrap()).collect();
        assert!(links.shares.of(&greedy).try_acquire_owned().is_err());
        assert!(links.shares.of(&other).try_acquire_owned().is_ok());
        drop(held);
        assert!(links.shares.of(&greedy).try_acquire_owned().is_ok());
        links.shares.of(&other);
        assert_eq!(links.shares.of.lock().unwrap().len(), 1, "who has none is forgotten");
    }
}
