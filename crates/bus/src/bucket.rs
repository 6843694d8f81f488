//! Token buckets: how much of something may be used in a time, with a burst.
//!
//! A bucket is one number: the time at which it will be full again. Taking moves that time on, by all that is taken: a bucket with
//! one token left may go into debt, which is paid off before the next is taken. Whole microseconds, so that every back end counts alike.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use skylift_model::Timestamp;

/// No sum may come near what a double can count.
const LONGEST_US: u64 = 1 << 50;
const SHARDS: usize = 16;
/// From this many buckets on, those that are full again are forgotten.
const SWEEP_FROM: usize = 1024;

/// How much may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many tokens come back …
    pub tokens: u32,
    /// … in this time.
    pub per: Duration,
    /// How many there are at most.
    pub burst: u32,
}

/// Whether something may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// It was taken.
    Allowed,
    /// Nothing was taken; the same may be asked for again after this long.
    RetryAfter(Duration),
}

/// A request in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Take {
    pub(crate) now: u64,
    pub(crate) cost: u64,
    /// What has to be there of it: a token, whatever it costs.
    pub(crate) least: u64,
    pub(crate) burst: u64,
}

impl Take {
    pub(crate) fn new(limit: Limit, cost: u32, now: Timestamp) -> Self {
        let per = u64::try_from(limit.per.as_micros()).unwrap_or(LONGEST_US);
        let each = (per / u64::from(limit.tokens.max(1))).max(1);
        let in_us = |tokens: u32| each.saturating_mul(u64::from(tokens)).min(LONGEST_US);
        Self { now: now_us(now), cost: in_us(cost), least: in_us(cost.min(1)), burst: in_us(limit.burst.max(1)) }
    }
}

fn now_us(now: Timestamp) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(0).saturating_mul(1000).min(LONGEST_US * 2)
}

/// The rule. `full_at` is when the bucket is full again; returns what it is afterwards, or how long to wait.
fn decide(full_at: u64, take: Take) -> Result<u64, Duration> {
    let full_at = full_at.max(take.now);
    match (full_at + take.least).saturating_sub(take.now + take.burst) {
        0 => Ok(full_at + take.cost),
        late => Err(Duration::from_micros(late)),
    }
}

/// The buckets of this process.
pub(crate) struct Buckets {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    full_at: HashMap<String, u64>,
    sweep_at: usize,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Self { shards: Default::default(), hasher: RandomState::new() }
    }

    pub(crate) fn take(&self, key: &str, take: Take) -> Allowance {
        let index = usize::try_from(self.hasher.hash_one(key)).unwrap_or(0) % SHARDS;
        let Some(shard) = self.shards.get(index) else { return Allowance::Allowed };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        match decide(shard.full_at.get(key).copied().unwrap_or(0), take) {
            Ok(full_at) => {
                shard.set(key, full_at, take.now);
                Allowance::Allowed
            }
            Err(wait) => Allowance::RetryAfter(wait),
        }
    }
}

impl Shard {
    fn set(&mut self, key: &str, full_at: u64, now: u64) {
        match self.full_at.get_mut(key) {
            Some(known) => *known = full_at,
            None => {
                if self.full_at.len() >= self.sweep_at.max(SWEEP_FROM) {
                    self.full_at.retain(|_, full_at| *full_at > now);
                    self.sweep_at = self.full_at.len() * 2;
                }
                self.full_at.insert(key.to_owned(), full_at);
            }
        }
    }
}

/// The same rule, where several processes share the buckets. KEYS: bucket. ARGV: now, cost, least, burst in microseconds.
/// A bucket is forgotten a second after it is full: clocks differ a little.
pub(crate) const SCRIPT: &str = "\
local now, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
local least, burst = tonumber(ARGV[3]), tonumber(ARGV[4])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local late = full + least - (now + burst)
if late > 0 then return late end
local after = full + cost
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1000)
return 0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_that_are_full_again_are_forgotten() {
        let buckets = Buckets::new();
        let limit = Limit { tokens: 1, per: Duration::from_secs(1), burst: 1 };
        for n in 0..200_000_i64 {
            let at = Timestamp::from_millis(n);
            assert_eq!(buckets.take(&format!("client {n}"), Take::new(limit, 1, at)), Allowance::Allowed);
        }
        let kept: usize = buckets.shards.iter().map(|shard| shard.lock().unwrap().full_at.len()).sum();
        assert!(kept <= SHARDS * SWEEP_FROM * 2, "{kept}");
    }

    #[test]
    fn limits_at_the_edge_of_what_can_be_counted_are_kept() {
        let most = Limit { tokens: 0, per: Duration::MAX, burst: u32::MAX };
        let take = Take::new(most, u32::MAX, Timestamp::from_millis(i64::MAX));
        let full_at = decide(0, take).unwrap();
        assert!(decide(full_at, take).is_err());
        let least = Limit { tokens: u32::MAX, per: Duration::ZERO, burst: 0 };
        assert_eq!(decide(0, Take::new(least, 0, Timestamp::from_millis(-5))), Ok(0));
    }
}
