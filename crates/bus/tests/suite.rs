//! What every bus must do: within a process, and over a real Redis that is lost and comes back.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "suite/buckets.rs"]
mod buckets;
#[path = "suite/messages.rs"]
mod messages;
#[path = "suite/outages.rs"]
mod outages;

use std::time::Duration;

use skylift_bus::{Bus, BusSettings, Received, Subscription};
use skylift_peers::Redis;
use tokio::time::timeout;

/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn settings(redis: &Redis) -> BusSettings {
    BusSettings { url: redis.url(), beat_ms: 100, ..BusSettings::default() }
}

/// A bus on this Redis that hears others.
pub(crate) async fn connected(redis: &Redis) -> Bus {
    let bus = Bus::open(&settings(redis)).unwrap();
    until_connected(&bus, true).await;
    bus
}

pub(crate) async fn until_connected(bus: &Bus, wanted: bool) {
    let waited = timeout(PATIENCE, async {
        while bus.is_connected() != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap();
}

/// What comes next.
pub(crate) async fn next(subscription: &mut Subscription) -> Received {
    timeout(PATIENCE, subscription.next()).await.unwrap()
}

/// What comes next that is not a reason to look again.
pub(crate) async fn next_message(subscription: &mut Subscription) -> Received {
    loop {
        match next(subscription).await {
            Received::Missed => {}
            received => return received,
        }
    }
}
