//! Token buckets that all edges of a platform share.
//!
//! Nobody on the path of a request waits for another process: what this process's own bucket lets pass, passes, and a task
//! takes it from the shared one afterwards. Where that has too little, the key is closed here until the debt is paid. So
//! all edges together let pass what the shared bucket gives, and each in addition what came while it asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skylift_bus::{Allowance, Bus, Limit};
use skylift_model::Clock;
use tokio::runtime::Handle;

use crate::clients::client_of;
use crate::rate::{Bucket, OwnBuckets, Rate, Rates, TokenBuckets};

/// How many keys are settled at once; what else is busy is held by this process's own buckets alone.
const ACCOUNTS_MAX: usize = 4096;
/// A debt is asked about again after this long at the latest.
const CLOSED_MAX: Duration = Duration::from_secs(60);

/// The buckets of all edges.
pub(crate) struct SharedBuckets {
    own: OwnBuckets,
    rates: Rates,
    /// Where the settling tasks run: not on the threads that serve.
    elsewhere: Handle,
    office: Arc<Office>,
}

/// Settles with the shared buckets.
struct Office {
    bus: Bus,
    clock: Clock,
    accounts: Mutex<HashMap<String, Account>>,
}

/// What passed for one key and was not taken from the shared bucket yet. A task settles it for as long as it exists.
struct Account {
    owed: u32,
    /// The shared bucket had too little: nothing passes until this debt is paid, which is tried again then.
    closed_until: Option<Instant>,
}

impl SharedBuckets {
    pub(crate) fn new(rates: Rates, began: Instant, (bus, clock): (Bus, Clock), elsewhere: Handle) -> Self {
        let office = Arc::new(Office { bus, clock, accounts: Mutex::default() });
        Self { own: OwnBuckets::new(rates, began), rates, elsewhere, office }
    }

    fn rate_and_key(&self, bucket: Bucket<'_>) -> Option<(Rate, String)> {
        match bucket {
            Bucket::Client(address) => self.rates.client.map(|rate| (rate, format!("client:{}", client_of(address)))),
            Bucket::App(app, _) => self.rates.app.map(|rate| (rate, format!("app:{app}"))),
        }
    }
}

impl TokenBuckets for SharedBuckets {
    fn take(&self, bucket: Bucket<'_>, now: Instant) -> Result<(), Duration> {
        let Some((rate, key)) = self.rate_and_key(bucket) else { return Ok(()) };
        let mut accounts = self.office.accounts();
        if let Some(until) = accounts.get(&key).and_then(|account| account.closed_until) {
            return Err(until.saturating_duration_since(now));
        }
        self.own.take(bucket, now)?;
        if let Some(account) = accounts.get_mut(&key) {
            account.owed = account.owed.saturating_add(1);
        } else if accounts.len() < ACCOUNTS_MAX {
            accounts.insert(key.clone(), Account { owed: 1, closed_until: None });
            self.elsewhere.spawn(self.office.clone().settle(key, rate));
        }
        Ok(())
    }
}

impl Office {
    fn accounts(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes from the shared bucket what passed here, until nothing is owed.
    async fn settle(self: Arc<Self>, key: String, rate: Rate) {
        let limit = Limit { tokens: rate.per_second.max(1), per: Duration::from_secs(1), burst: rate.burst.max(1) };
        let bucket = format!("rate:{key}");
        while let Some(cost) = self.next_piece(&key, limit.burst) {
            match self.bus.bucket(&bucket, limit, cost, self.clock.now()).await {
                Allowance::Allowed => self.paid(&key, cost),
                Allowance::RetryAfter(wait) => {
                    let wait = wait.min(CLOSED_MAX);
                    self.close(&key, tokio::time::Instant::now().into_std() + wait);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// What to take next, at most a whole bucket; `None`, and the account is gone, where nothing is owed.
    fn next_piece(&self, key: &str, burst: u32) -> Option<u32> {
        let mut accounts = self.accounts();
        let owed = accounts.get(key).map_or(0, |account| account.owed);
        if owed == 0 {
            accounts.remove(key);
            return None;
        }
        Some(owed.min(burst))
    }

    /// It is open again when everything is paid.
    fn paid(&self, key: &str, cost: u32) {
        if let Some(account) = self.accounts().get_mut(key) {
            account.owed = account.owed.saturating_sub(cost);
            if account.owed == 0 {
                account.closed_until = None;
            }
        }
    }

    fn close(&self, key: &str, until: Instant) {
        if let Some(account) = self.accounts().get_mut(key) {
            account.closed_until = Some(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::now;
    use crate::rate::FullAt;
    use skylift_bus::BusSettings;
    use skylift_model::{AppName, Timestamp};

    const RATE: Rate = Rate { per_second: 10, burst: 20 };

    /// The wall clock of a test: it goes with tokio's, which the test moves.
    fn clock() -> Clock {
        let began = tokio::time::Instant::now();
        Clock::new(move || {
            Timestamp::from_millis(1_700_000_000_000 + i64::try_from(began.elapsed().as_millis()).unwrap())
        })
    }

    fn edges(count: usize, shared: bool) -> Vec<Box<dyn TokenBuckets>> {
        let rates = Rates { client: None, app: Some(RATE) };
        let began = tokio::time::Instant::now().into_std();
        let (bus, clock) = (Bus::in_process(), clock());
        let edge = |_| -> Box<dyn TokenBuckets> {
            if shared {
                Box::new(SharedBuckets::new(rates, began, (bus.clone(), clock.clone()), Handle::current()))
            } else {
                Box::new(OwnBuckets::new(rates, began))
            }
        };
        (0..count).map(edge).collect()
    }

    /// How many of many requests pass four edges in ten seconds, a request to each every ten milliseconds.
    async fn passed(shared: bool) -> u64 {
        let app: AppName = "shop".parse().unwrap();
        let edges = edges(4, shared);
        let full_at: [FullAt; 4] = Default::default();
        let mut passed = 0;
        for _ in 0..1000 {
            let now = tokio::time::Instant::now().into_std();
            for (edge, full_at) in edges.iter().zip(&full_at) {
                passed += u64::from(edge.take(Bucket::App(&app, full_at), now).is_ok());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        passed
    }

    #[tokio::test(start_paused = true)]
    async fn edges_together_let_pass_what_one_would() {
        let passed = passed(true).await;
        // The burst and ten seconds; and of each edge, what came while it asked.
        let (least, most) = (20 + 90, 20 + 100 + 4);
        assert!((least..=most).contains(&passed), "{passed} of {least} to {most}");
    }

    #[tokio::test(start_paused = true)]
    async fn control_edges_that_do_not_share_let_pass_what_each_would() {
        assert!(passed(false).await >= 4 * (20 + 90));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_refused_is_told_when_and_nothing_is_remembered_of_who_is_quiet() {
        let rates = Rates { client: Some(RATE), app: None };
        let shared = (Bus::in_process(), clock());
        let began = tokio::time::Instant::now().into_std();
        let ours = SharedBuckets::new(rates, began, shared.clone(), Handle::current());
        let theirs = SharedBuckets::new(rates, began, shared, Handle::current());
        let client = Bucket::Client("192.0.2.1".parse().unwrap());
        let take = |buckets: &SharedBuckets| buckets.take(client, tokio::time::Instant::now().into_std());
        for _ in 0..RATE.burst {
            take(&theirs).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        take(&ours).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let wait = take(&ours).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(100), "{wait:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        take(&ours).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(ours.office.accounts().is_empty() && theirs.office.accounts().is_empty());
    }

    /// Sends `count` requests to each of two edges in turn, with time for them to settle; how many passed.
    async fn passed_in_turn(edges: &[SharedBuckets; 2], key: u32, count: u32) -> u32 {
        let client = Bucket::Client(std::net::IpAddr::V4(key.into()));
        let mut passed = 0;
        for _ in 0..count {
            for edge in edges {
                passed += u32::from(edge.take(client, Instant::now()).is_ok());
                wait_until_settled(edge).await;
            }
        }
        passed
    }

    /// Whatever is owed was asked for: paid, or told to come back for.
    async fn wait_until_settled(edge: &SharedBuckets) {
        let is_settled = || edge.office.accounts().values().all(|account| account.closed_until.is_some());
        while !is_settled() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn edges_share_a_real_redis_and_count_by_themselves_while_it_does_not_answer() {
        let Some(mut redis) = skylift_peers::Redis::start().await else { return };
        let settings = BusSettings { url: redis.url(), ..BusSettings::default() };
        let rate = Rate { per_second: 1, burst: 50 };
        let rates = Rates { client: Some(rate), app: None };
        let edges = [(); 2].map(|()| {
            let bus = Bus::open(&settings).unwrap();
            SharedBuckets::new(rates, Instant::now(), (bus, now::clock()), Handle::current())
        });
        for edge in &edges {
            while !edge.office.bus.is_connected() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let began = Instant::now();
        let together = passed_in_turn(&edges, 1, 60).await;
        let most = 50 + u32::try_from(began.elapsed().as_secs()).unwrap() + 2;
        assert!((50..=most).contains(&together), "{together} of 50 to {most}");
        redis.kill();
        let alone = passed_in_turn(&edges, 2, 60).await;
        assert!(alone >= 100, "each lets its own fifty pass: {alone}");
    }
}
