//! How many connections there may be: in all, and of one client.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clients::{Clients, client_of};

/// The places there are. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    by_client: Arc<Mutex<HashMap<IpAddr, usize>>>,
    per_client_max: usize,
    clients: Clients,
}

/// A place of a connection, given back when it is dropped.
pub(crate) struct Place {
    _of_all: OwnedSemaphorePermit,
    client: Option<(IpAddr, Places)>,
}

impl Places {
    pub(crate) fn new(all: usize, per_client_max: usize, clients: Clients) -> Self {
        let all = Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS)));
        Self { all, by_client: Arc::default(), per_client_max, clients }
    }

    /// Waits until there is a place for somebody.
    pub(crate) async fn any(&self) -> Option<OwnedSemaphorePermit> {
        self.all.clone().acquire_owned().await.ok()
    }

    /// Gives the place to a client; none where it has its share already. Declared proxies stand for many clients.
    pub(crate) fn give(&self, place: OwnedSemaphorePermit, client: SocketAddr) -> Option<Place> {
        if self.clients.is_trusted(client) {
            return Some(Place { _of_all: place, client: None });
        }
        let client = client_of(client.ip());
        let mut by_client = self.by_client();
        let taken = by_client.entry(client).or_default();
        if *taken >= self.per_client_max {
            return None;
        }
        *taken += 1;
        drop(by_client);
        Some(Place { _of_all: place, client: Some((client, self.clone())) })
    }

    fn by_client(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((client, places)) = &self.client else { return };
        let mut by_client = places.by_client();
        if let Some(taken) = by_client.get_mut(client) {
            *taken -= 1;
            if *taken == 0 {
                by_client.remove(client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_has_its_share_and_gets_it_back() {
        let clients = Clients { trusted: vec!["10.0.0.0/8".parse().unwrap()], country_header: None };
        let places = Places::new(100, 2, clients);
        let give = async |address: &str| places.give(places.any().await.unwrap(), address.parse().unwrap());
        let first = give("192.0.2.1:1").await.unwrap();
        let _second = give("192.0.2.1:2").await.unwrap();
        assert!(give("192.0.2.1:3").await.is_none());
        assert!(give("192.0.2.2:1").await.is_some(), "others are not concerned");
        drop(first);
        assert!(give("192.0.2.1:4").await.is_some());
        let proxy: Vec<_> = [give("10.0.0.1:1").await, give("10.0.0.1:2").await, give("10.0.0.1:3").await].into();
        assert!(proxy.iter().all(Option::is_some), "a proxy stands for many");
        drop(proxy);
        assert_eq!(places.by_client().len(), 1, "who has none is forgotten");
        assert_eq!(places.all.available_permits(), 99);
    }
}
