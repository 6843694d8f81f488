//! Purges that are asked for on the bus.

use std::sync::Arc;

use skylift_bus::{Bus, Message, PurgeWhat, Received, Subscription};
use skylift_cache::Purge;

use super::Kept;
use crate::stopping::Stopping;

/// Does what the bus says.
pub(crate) struct Purging {
    kept: Arc<Kept>,
    bus: Bus,
    /// The name of this edge.
    name: String,
    messages: Subscription,
}

impl Purging {
    /// Listens from here on.
    pub(crate) fn new(kept: Arc<Kept>, bus: Bus, name: String) -> Self {
        let messages = bus.subscribe();
        Self { kept, bus, name, messages }
    }

    /// Purges until it is told to stop, and says each time that it is done.
    pub(crate) async fn run(mut self, mut stopping: Stopping) {
        loop {
            let received = tokio::select! {
                received = self.messages.next() => received,
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
