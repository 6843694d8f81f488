//! Token buckets: how many requests a client, and an app, may take in a time.
//!
//! A bucket is one number, the time at which it will be full again (the "generic cell rate algorithm"). Those of this
//! process are in memory. The seam is [`TokenBuckets`]: it is asked on the path of a request and answers at once, so the
//! shared ones settle afterwards, and go on by themselves while they cannot reach the others.

pub(crate) mod shared;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use skylift_model::AppName;

use crate::clients::client_of;

/// How many buckets of one kind are remembered in each part; beyond that, those that are full again are forgotten.
const PART_MAX: usize = 4096;
const PARTS: usize = 32;

/// So many requests a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many requests a second in the long run; at least 1.
    pub per_second: u32,
    /// How many at once after a quiet time; at least 1.
    pub burst: u32,
}

/// What is limited; `None` is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests of one client address (IPv6: of one /64) to sites.
    pub client: Option<Rate>,
    /// Requests to one app's sites, whoever sends them.
    pub app: Option<Rate>,
}

/// Whose bucket.
#[derive(Clone, Copy, Debug)]
pub enum Bucket<'b> {
    /// A client's.
    Client(IpAddr),
    /// An app's: its name, and the bucket of this process, which lies with the app's route.
    App(&'b AppName, &'b FullAt),
}

/// A bucket of this process: when it will be full again, in nanoseconds since the process began to limit.
#[derive(Debug, Default)]
pub struct FullAt(AtomicU64);

impl FullAt {
    /// Takes a token, or says how many nanoseconds until there is one.
    fn take(&self, rate: Rate, now: u64) -> Result<(), u64> {
        let mut full_at = self.0.load(Relaxed);
        loop {
            match self.0.compare_exchange_weak(full_at, take(full_at, rate, now)?, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => full_at = other,
            }
        }
    }
}

/// Buckets with tokens. Never waits.
pub trait TokenBuckets: Send + Sync {
    /// Takes a token, or says how long until there is one.
    fn take(&self, bucket: Bucket<'_>, now: Instant) -> Result<(), Duration>;
}

/// The buckets of this process.
pub(crate) struct OwnBuckets {
    began: Instant,
    rates: Rates,
    clients: Clients,
}

/// The buckets of clients, by their addresses.
struct Clients {
    hasher: RandomState,
    parts: Box<[Mutex<HashMap<IpAddr, u64>>]>,
}

impl Rates {
    /// Whether anything is limited.
    pub(crate) fn are_set(&self) -> bool {
        self.client.is_some() || self.app.is_some()
    }
}

impl OwnBuckets {
    pub(crate) fn new(rates: Rates, began: Instant) -> Self {
        Self { began, rates, clients: Clients::new() }
    }
}

impl TokenBuckets for OwnBuckets {
    fn take(&self, bucket: Bucket<'_>, now: Instant) -> Result<(), Duration> {
        let now = u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX);
        let wait = match bucket {
            Bucket::Client(address) => match self.rates.client {
                Some(rate) => self.clients.take(client_of(address), rate, now),
                None => Ok(()),
            },
            Bucket::App(_, full_at) => match self.rates.app {
                Some(rate) => full_at.take(rate, now),
                None => Ok(()),
            },
        };
        wait.map_err(Duration::from_nanos)
    }
}

impl Clients {
    fn new() -> Self {
        Self { hasher: RandomState::new(), parts: (0..PARTS).map(|_| Mutex::default()).collect() }
    }

    fn take(&self, client: IpAddr, rate: Rate, now: u64) -> Result<(), u64> {
        let part = usize::try_from(self.hasher.hash_one(client)).unwrap_or(0) % PARTS;
        let Some(part) = self.parts.get(part) else { return Ok(()) };
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = part.get_mut(&client) {
            *full_at = take(*full_at, rate, now)?;
            return Ok(());
        }
        if part.len() >= PART_MAX {
            // A bucket that is full again is as good as none.
            part.retain(|_, full_at| *full_at > now);
        }
        if part.len() < PART_MAX {
            part.insert(client, take(now, rate, now)?);
        }
        // Else more clients than can be remembered are busy at once; those known are still held to their rate.
        Ok(())
    }
}

/// Takes a token from a bucket that will be full at `full_at`: when it will be full then, or how long to wait. All in
/// nanoseconds.
fn take(full_at: u64, rate: Rate, now: u64) -> Result<u64, u64> {
    let one = 1_000_000_000 / u64::from(rate.per_second.max(1));
    let all = one.saturating_mul(u64::from(rate.burst.max(1)));
    let full_then = full_at.max(now).saturating_add(one);
    match full_then.saturating_sub(now).checked_sub(all) {
        None | Some(0) => Ok(full_then),
        Some(wait) => Err(wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_bucket_holds_its_burst_and_fills_at_its_rate() {
        let rate = Rate { per_second: 10, burst: 5 };
        let mut full_at = 0;
        for _ in 0..5 {
            full_at = take(full_at, rate, SECOND).unwrap();
        }
        assert_eq!(take(full_at, rate, SECOND), Err(SECOND / 10));
        assert_eq!(take(full_at, rate, SECOND + SECOND / 10 - 1), Err(1));
        full_at = take(full_at, rate, SECOND + SECOND / 10).unwrap();
        assert!(take(full_at, rate, SECOND + SECOND / 10).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_more_pass_than_burst_and_rate_allow(
            per_second in 1..100_u32, burst in 1..20_u32, gaps in proptest::collection::vec(0..SECOND / 5, 1..200),
        ) {
            let rate = Rate { per_second, burst };
            let (mut full_at, mut now, mut passed) = (0, SECOND, 0_u64);
            for gap in gaps {
                now += gap;
                if let Ok(then) = take(full_at, rate, now) {
                    full_at = then;
                    passed += 1;
                }
                let allowed = u64::from(burst) + (now - SECOND) / (SECOND / u64::from(per_second));
                proptest::prop_assert!(passed <= allowed, "{passed} > {allowed}");
            }
        }
    }

    #[test]
    fn clients_and_apps_are_told_apart_and_forgotten() {
        let began = Instant::now();
        let one = Some(Rate { per_second: 1, burst: 1 });
        let buckets = OwnBuckets::new(Rates { client: one, app: one }, began);
        let (shop, blog): (AppName, AppName) = ("shop".parse().unwrap(), "blog".parse().unwrap());
        let (of_shop, of_blog) = (FullAt::default(), FullAt::default());
        assert!(buckets.take(Bucket::App(&shop, &of_shop), began).is_ok());
        assert!(buckets.take(Bucket::App(&blog, &of_blog), began).is_ok());
        assert!(buckets.take(Bucket::App(&shop, &of_shop), began).is_err());
        let client = |n: u32| Bucket::Client(IpAddr::V4(n.into()));
        assert!(buckets.take(client(1), began).is_ok() && buckets.take(client(2), began).is_ok());
        assert!(buckets.take(client(1), began).is_err());
        let later = began + Duration::from_secs(2);
        for number in 0..200_000 {
            assert!(buckets.take(client(number), later + Duration::from_millis(number.into())).is_ok());
        }
        let remembered: usize = buckets.clients.parts.iter().map(|part| part.lock().unwrap().len()).sum();
        assert!(remembered <= PARTS * PART_MAX, "{remembered}");
    }
}
