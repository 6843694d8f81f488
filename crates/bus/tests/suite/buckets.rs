//! Token buckets, on both against one model.

use std::collections::HashMap;
use std::time::Duration;

use skylift_bus::{Allowance, Bus, Limit};
use skylift_model::Timestamp;
use skylift_peers::Redis;

use crate::{connected, until_connected};

pub(crate) const ONE_AN_HOUR: Limit = Limit { tokens: 1, per: Duration::from_secs(3600), burst: 1 };

/// A bucket as it is usually drawn: tokens that come back with time, counted in fractions that are exact here.
struct Model {
    /// In millionths of a token.
    tokens: i128,
    at: i64,
}

impl Model {
    fn take(&mut self, limit: Limit, cost: u32, now: i64) -> Allowance {
        let each_us = limit.per.as_micros() as i128 / i128::from(limit.tokens);
        let most = i128::from(limit.burst) * each_us;
        // Counted in microseconds of waiting: a token is what comes back in `each_us`. Time does not go back.
        if now > self.at {
            self.tokens = (self.tokens + i128::from(now - self.at) * 1000).min(most);
            self.at = now;
        }
        let late_us = i128::from(self.at - now) * 1000;
        // One has to be there; what more is taken is a debt.
        let missing = i128::from(cost.min(1)) * each_us - self.tokens + late_us;
        if missing <= 0 {
            self.tokens -= i128::from(cost) * each_us;
            return Allowance::Allowed;
        }
        Allowance::RetryAfter(Duration::from_micros(missing as u64))
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Tokens come back so slowly that the time the test takes does not matter.
fn limits() -> [Limit; 3] {
    [
        Limit { tokens: 1, per: Duration::from_secs(100), burst: 5 },
        Limit { tokens: 3, per: Duration::from_secs(1000), burst: 1 },
        Limit { tokens: 7, per: Duration::from_secs(700), burst: 20 },
    ]
}

async fn agrees_with_the_model(buses: &[Bus], seed: u64) {
    let mut random = Random(seed);
    let mut model: HashMap<u64, Model> = HashMap::new();
    let mut now = 1_700_000_000_000_i64;
    for step in 0..400 {
        let (which, cost) = (random.below(3), random.below(7) as u32);
        now += random.below(60_000) as i64;
        let limit = limits()[which as usize];
        let bus = &buses[random.below(buses.len() as u64) as usize];
        let allowed = bus.bucket(&format!("{seed}/{which}"), limit, cost, Timestamp::from_millis(now)).await;
        let full = limit.per.as_micros() as i128 / i128::from(limit.tokens) * i128::from(limit.burst);
        let expected = model.entry(which).or_insert(Model { tokens: full, at: now }).take(limit, cost, now);
        assert_eq!(allowed, expected, "seed {seed}, step {step}: {limit:?}, cost {cost}");
    }
}

fn seeds() -> std::ops::Range<u64> {
    0..if std::env::var_os("SKYLIFT_SOAK").is_some() { 300 } else { 10 }
}

#[tokio::test]
async fn buckets_of_a_process_count_as_the_model_does() {
    for seed in seeds() {
        agrees_with_the_model(&[Bus::in_process()], seed).await;
    }
}

#[tokio::test]
async fn buckets_of_several_processes_count_as_the_model_does() {
    let Some(redis) = Redis::start().await else { return };
    let buses = [connected(&redis).await, connected(&redis).await];
    for seed in seeds() {
        agrees_with_the_model(&buses, seed).await;
    }
}

#[tokio::test]
async fn what_is_taken_beyond_what_is_there_is_paid_off_before_the_next() {
    let Some(redis) = Redis::start().await else { return };
    let three_a_minute = Limit { tokens: 3, per: Duration::from_secs(60), burst: 3 };
    for bus in [Bus::in_process(), connected(&redis).await] {
        let take = async |cost, at_s: i64| {
            bus.bucket("batch", three_a_minute, cost, Timestamp::from_millis(1_700_000_000_000 + at_s * 1000)).await
        };
        let wait = |seconds| Allowance::RetryAfter(Duration::from_secs(seconds));
        assert_eq!(take(40, 0).await, Allowance::Allowed, "one is there");
        assert_eq!(take(1, 0).await, wait(38 * 20), "37 are owed, and one has to be there");
        assert_eq!(take(40, 60).await, wait(38 * 20 - 60), "what is refused costs nothing");
        assert_eq!(take(1, 38 * 20 - 1).await, wait(1));
        assert_eq!(take(4, 38 * 20).await, Allowance::Allowed);
        assert_eq!(take(1, 38 * 20).await, wait(4 * 20));
    }
}

#[tokio::test]
async fn many_at_once_get_no_more_than_there_is() {
    let Some(redis) = Redis::start().await else { return };
    let limit = Limit { tokens: 1, per: Duration::from_secs(3600), burst: 10 };
    let shared = [connected(&redis).await, connected(&redis).await];
    let apart = [Bus::in_process(), Bus::in_process()];
    for (buses, expected) in [(&shared, 10), (&apart, 20)] {
        let mut asking = tokio::task::JoinSet::new();
        for n in 0..100 {
            let bus = buses[n % 2].clone();
            asking.spawn(async move { bus.bucket("one", limit, 1, Timestamp::from_millis(1_000_000)).await });
        }
        let allowed = asking.join_all().await.into_iter().filter(|answer| *answer == Allowance::Allowed).count();
        assert_eq!(allowed, expected);
    }
}

#[tokio::test]
async fn without_redis_each_process_counts_by_itself() {
    let Some(mut redis) = Redis::start().await else { return };
    let bus = connected(&redis).await;
    let now = Timestamp::from_millis(1_000_000);
    let take = async || bus.bucket("one", ONE_AN_HOUR, 1, now).await;
    assert_eq!(take().await, Allowance::Allowed);
    assert!(matches!(take().await, Allowance::RetryAfter(_)));
    redis.kill();
    until_connected(&bus, false).await;
    assert_eq!(take().await, Allowance::Allowed);
    let wait = Allowance::RetryAfter(Duration::from_secs(3600));
    assert_eq!(take().await, wait);
}
