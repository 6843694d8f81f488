//! Hot state and messages. Only what can be rebuilt: whoever misses a message re-reads the truth from the store.
//!
//! A message wakes; it never carries the truth. Subscribers that lag behind, and all of them after a time in which
//! other processes could not be heard, are told that they missed something and look again.

mod applied;
mod bucket;
mod message;
mod redis;
mod seen;

use std::io;
use std::sync::Arc;

use skylift_model::Timestamp;
use tokio::sync::broadcast;

pub use applied::{Applied, Edges, Served};
pub use bucket::{Allowance, Limit};
pub use message::{Message, PurgeWhat};
pub use redis::scripts::Scripts;
pub use redis::settings::BusSettings;
pub use seen::{Answers, Load, SEEN_MAX, Used};

use bucket::{Buckets, Take};
use redis::Redis;

/// How many messages a slow subscriber may be behind before it is told that it missed some.
const BACKLOG_MAX: usize = 1024;

/// The bus. Cheap to clone; all clones are the same bus.
#[derive(Clone)]
pub struct Bus(Arc<Ends>);

struct Ends {
    heard: broadcast::Sender<Heard>,
    /// The other processes, where there are any.
    redis: Option<Redis>,
    buckets: Buckets,
}

/// What goes to every subscriber of this process.
#[derive(Clone, Debug)]
enum Heard {
    Message(Message),
    Missed,
}

/// One subscriber's end.
pub struct Subscription(broadcast::Receiver<Heard>);

/// What a subscriber got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Message(Message),
    /// Messages were missed: look at everything again.
    Missed,
    /// The bus is gone; the process is shutting down.
    Closed,
}

impl Bus {
    /// A bus within this process.
    pub fn in_process() -> Self {
        Self(Arc::new(Ends { heard: broadcast::Sender::new(BACKLOG_MAX), redis: None, buckets: Buckets::new() }))
    }

    /// The bus that the settings name. With Redis it starts whether that answers or not: until it does, this process
    /// hears itself, and is told to look at everything now and then. An error where the settings cannot work.
    pub fn open(settings: &BusSettings) -> io::Result<Self> {
        if !settings.is_shared() {
            return Ok(Self::in_process());
        }
        let heard = broadcast::Sender::new(BACKLOG_MAX);
        let redis = Some(Redis::start(settings, heard.clone())?);
        Ok(Self(Arc::new(Ends { heard, redis, buckets: Buckets::new() })))
    }

    /// Tells every subscriber, those of this process at once; nobody listening is fine. Never waits and never fails.
    pub fn publish(&self, message: Message) {
        if let Some(redis) = &self.0.redis {
            redis.say(&message);
        }
        let _ = self.0.heard.send(Heard::Message(message));
    }

    /// Hears everything published from here on. Subscribe first, then read the store: that order misses nothing.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.0.heard.subscribe())
    }

    /// Takes `cost` tokens from a bucket where at least one is there; what more than there is was taken is paid off before the next is
    /// allowed. Buckets are shared by all processes; while Redis does not answer each process counts by itself. Takes at most a quarter of a second.
    pub async fn bucket(&self, key: &str, limit: Limit, cost: u32, now: Timestamp) -> Allowance {
        let take = Take::new(limit, cost, now);
        let shared = match &self.0.redis {
            Some(redis) => redis.take(key, take).await,
            None => None,
        };
        match shared {
            Some(0) => Allowance::Allowed,
            Some(late) => Allowance::RetryAfter(std::time::Duration::from_micros(late)),
            None => self.0.buckets.take(key, take),
        }
    }

    /// Whether there may be other processes.
    pub fn is_shared(&self) -> bool {
        self.0.redis.is_some()
    }

    /// Whether other processes are heard; always so on a bus within the process.
    pub fn is_connected(&self) -> bool {
        self.0.redis.as_ref().is_none_or(Redis::is_connected)
    }

    /// Appends counts in the Prometheus text format.
    pub fn render_metrics(&self, out: &mut String) {
        if let Some(redis) = &self.0.redis {
            redis.render(out);
        }
    }
}

impl Subscription {
    /// Waits for the next message.
    pub async fn next(&mut self) -> Received {
        match self.0.recv().await {
            Ok(Heard::Message(message)) => Received::Message(message),
            Ok(Heard::Missed) | Err(broadcast::error::RecvError::Lagged(_)) => Received::Missed,
            Err(broadcast::error::RecvError::Closed) => Received::Closed,
        }
    }

    /// Waits until something that `concerns` the caller happened, or might have.
    pub async fn wait_for(&mut self, concerns: impl Fn(&Message) -> bool) {
        loop {
            match self.next().await {
                Received::Message(message) if !concerns(&message) => {}
                Received::Message(_) | Received::Missed => return,
                // Nothing will ever come; the caller's own shutdown ends it.
                Received::Closed => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_subscriber_that_lags_is_told_to_look_again() {
        let bus = Bus::in_process();
        let mut subscription = bus.subscribe();
        for _ in 0..BACKLOG_MAX + 1 {
            bus.publish(Message::JobReady);
        }
        assert_eq!(subscription.next().await, Received::Missed);
        assert_eq!(subscription.next().await, Received::Message(Message::JobReady));
    }
}
