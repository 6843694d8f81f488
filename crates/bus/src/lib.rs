//! Hot state and messages. Only what can be rebuilt: whoever misses a message re-reads the truth from the store.
//!
//! A message wakes; it never carries the truth. Subscribers that lag behind are told that they missed something
//! and look again.

mod applied;

use std::sync::Arc;

use skylift_model::{AppName, DeploymentId};
use tokio::sync::broadcast;

pub use applied::Applied;

/// How many messages a slow subscriber may be behind before it is told that it missed some.
const BACKLOG_MAX: usize = 1024;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A job may be ready to lease.
    JobReady,
    /// A deployment has new log lines.
    LogGrew(DeploymentId),
    /// A deployment changed its state or has a new event.
    DeploymentChanged(DeploymentId),
    /// Somebody asked to cancel a deployment.
    CancelAsked(DeploymentId),
    /// The routes of an app changed: edges re-read them.
    RoutesChanged(AppName),
    /// An edge serves the routes of an app at this generation; 0 where nothing of it is live, or it is gone.
    RoutesApplied(AppName, u64),
}

/// The bus. Cheap to clone; all clones are the same bus.
#[derive(Clone)]
pub struct Bus(Arc<broadcast::Sender<Message>>);

/// One subscriber's end.
pub struct Subscription(broadcast::Receiver<Message>);

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
        Self(Arc::new(broadcast::Sender::new(BACKLOG_MAX)))
    }

    /// Tells every subscriber; nobody listening is fine.
    pub fn publish(&self, message: Message) {
        let _ = self.0.send(message);
    }

    /// Hears everything published from here on. Subscribe first, then read the store: that order misses nothing.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribe())
    }
}

impl Subscription {
    /// Waits for the next message.
    pub async fn next(&mut self) -> Received {
        match self.0.recv().await {
            Ok(message) => Received::Message(message),
            Err(broadcast::error::RecvError::Lagged(_)) => Received::Missed,
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
