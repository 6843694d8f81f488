//! Purges that are asked for on the bus.

use std::sync::Arc;

use skylift_bus::{Bus, Message, PurgeWhat, Received, Subscription};
use skylift_cache::Purge;

use super::Kept;
use crate::stopping::Stopping;

/// Does what the bus says.
#[derive(Clone)]
pub(crate) struct Purging {
    kept: Arc<Kept>,
    bus: Bus,
    /// The name of this edge.
    name: String,
}

impl Purging {
    pub(crate) fn new(kept: Arc<Kept>, bus: Bus, name: String) -> Self {
        Self { kept, bus, name }
    }

    /// The same, where the one before ended in a panic and may have missed a purge.
    pub(crate) fn again(&self) -> (Self, Subscription) {
        let messages = self.bus.subscribe();
        self.kept.clear();
        (self.clone(), messages)
    }

    /// Purges until it is told to stop, and says each time that it is done.
    pub(crate) async fn run(self, mut messages: Subscription, mut stopping: Stopping) {
        loop {
            let received = tokio::select! {
                received = messages.next() => received,
                () = stopping.told() => return,
            };
            match received {
                Received::Message(Message::Purge(app, what, id)) => {
                    let answers = self.kept.purge(app.as_str(), &purge_of(what));
                    tracing::info!(app = %app, answers, "purged kept answers");
                    self.bus.publish(Message::Purged(id, self.name.clone()));
                }
                Received::Message(_) => {}
                // One of what was missed may have been a purge.
                Received::Missed => self.kept.clear(),
                Received::Closed => return,
            }
        }
    }
}

fn purge_of(what: PurgeWhat) -> Purge {
    match what {
        PurgeWhat::Everything => Purge::Everything,
        PurgeWhat::Path(path) => Purge::Path(path),
        PurgeWhat::Tag(tag) => Purge::Tag(tag),
    }
}
