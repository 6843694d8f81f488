//! Clients whose connections of HTTP/2 had to be cut: how often they may come again.
//!
//! A cut costs whoever attacks a new connection, and us much more: what was asked for until then. So each cut counts
//! against its client for a while, and who has too many is let in by HTTP/2 no more often than cuts are forgotten. What it asks
//! by HTTP/1.1 is answered all the same: others may come by the same address.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clients::{Clients, client_of};

/// How many cuts of one client are passed over, and after how long each is forgotten.
const PASSED_OVER: u32 = 64;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(1);
/// How many clients are remembered; of others nothing is, as long as none of these is forgotten.
const CLIENTS_MAX: usize = 4096;

/// The cuts of all clients, as when the last of each is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Cuts(Mutex<HashMap<IpAddr, Instant>>);

impl Cuts {
    /// Notes that a connection of a client was cut because of what it sent.
    pub(crate) fn note(&self, clients: &Clients, peer: SocketAddr, now: Instant) {
        let Some(client) = counted(clients, peer) else { return };
        let mut all = self.all();
        if all.len() >= CLIENTS_MAX && !all.contains_key(&client) {
            all.retain(|_, forgotten| *forgotten > now);
            if all.len() >= CLIENTS_MAX {
                return;
            }
        }
        let forgotten = all.entry(client).or_insert(now);
        // However many there were, it is no longer than this until the next is let in.
        *forgotten = ((*forgotten).max(now) + FORGOTTEN_AFTER).min(now + FORGOTTEN_AFTER * (PASSED_OVER + 1));
    }

    /// Whether a client had too many of late.
    pub(crate) fn are_too_many(&self, clients: &Clients, peer: SocketAddr, now: Instant) -> bool {
        let forgotten = counted(clients, peer).and_then(|client| self.all().get(&client).copied());
        forgotten.is_some_and(|forgotten| forgotten > now + FORGOTTEN_AFTER * PASSED_OVER)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose cut it is; nobody's where the peer stands for many: a declared proxy, and whoever comes by a link.
fn counted(clients: &Clients, peer: SocketAddr) -> Option<IpAddr> {
    (!clients.is_trusted(peer) && !peer.ip().is_unspecified()).then(|| client_of(peer.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    fn clients() -> Clients {
        Clients { trusted: vec!["10.0.0.0/8".parse().unwrap()], country_header: None }
    }

    #[test]
    fn who_is_cut_too_often_comes_again_only_as_cuts_are_forgotten() {
        let (cuts, clients, now) = (Cuts::default(), clients(), Instant::now());
        let one = peer("192.0.2.1:1");
        for number in 0..=PASSED_OVER {
            assert!(!cuts.are_too_many(&clients, one, now), "{number}");
            cuts.note(&clients, one, now);
        }
        assert!(cuts.are_too_many(&clients, peer("192.0.2.1:2"), now), "by any port");
        assert!(!cuts.are_too_many(&clients, peer("192.0.2.2:1"), now), "others are not concerned");
        for _ in 0..1000 {
            cuts.note(&clients, one, now);
        }
        assert!(!cuts.are_too_many(&clients, one, now + FORGOTTEN_AFTER), "one more may come, however many there were");
        cuts.note(&clients, one, now + FORGOTTEN_AFTER);
        assert!(cuts.are_too_many(&clients, one, now + FORGOTTEN_AFTER));
        assert!(!cuts.are_too_many(&clients, one, now + FORGOTTEN_AFTER * 2));
    }

    #[test]
    fn whoever_stands_for_many_is_not_counted_and_a_household_is_one() {
        let (cuts, clients, now) = (Cuts::default(), clients(), Instant::now());
        for number in 0..200 {
            for address in ["10.0.0.1:1".to_owned(), "0.0.0.0:0".to_owned(), format!("[2001:db8::{number:x}]:1")] {
                cuts.note(&clients, peer(&address), now);
            }
        }
        assert!(!cuts.are_too_many(&clients, peer("10.0.0.1:1"), now));
        assert!(!cuts.are_too_many(&clients, peer("0.0.0.0:0"), now));
        assert!(cuts.are_too_many(&clients, peer("[2001:db8::ffff]:1"), now));
        assert!(!cuts.are_too_many(&clients, peer("[2001:db8:0:1::1]:1"), now));
    }

    #[test]
    fn memory_is_bounded_and_whoever_is_remembered_stays_so() {
        let (cuts, clients, now) = (Cuts::default(), clients(), Instant::now());
        let number = |n: u32| SocketAddr::new(IpAddr::from((0xc000_0000 + n).to_be_bytes()), 1);
        for _ in 0..=PASSED_OVER {
            cuts.note(&clients, number(0), now);
        }
        for n in 1..20_000 {
            cuts.note(&clients, number(n), now);
        }
        assert_eq!(cuts.all().len(), CLIENTS_MAX);
        assert!(cuts.are_too_many(&clients, number(0), now));
        cuts.note(&clients, number(30_000), now + FORGOTTEN_AFTER * 2);
        assert_eq!(cuts.all().len(), 2, "the others are forgotten");
    }
}
