//! Which routes are served: so that "live" is said only when the edge answers with it.

use std::collections::HashMap;
use std::time::Duration;

use skylift_model::AppName;
use tokio::sync::watch;

use crate::{Bus, Message, Received};

/// The generation of each app's routes that an edge was heard to serve.
#[derive(Clone)]
pub struct Applied(watch::Receiver<HashMap<AppName, u64>>);

impl Applied {
    /// Listens to the bus for as long as it lives.
    pub fn follow(bus: &Bus) -> Self {
        let mut subscription = bus.subscribe();
        let (sender, receiver) = watch::channel(HashMap::new());
        tokio::spawn(async move {
            loop {
                match subscription.next().await {
                    Received::Message(Message::RoutesApplied(app, generation)) => sender.send_modify(|applied| {
                        let served = applied.entry(app).or_insert(generation);
                        *served = generation.max(*served);
                    }),
                    Received::Closed => return,
                    Received::Message(_) | Received::Missed => {}
                }
            }
        });
        Self(receiver)
    }

    /// Waits until the app's routes are served at `generation` or later, at most `limit`: an edge that cannot be
    /// heard must not hold everything up.
    pub async fn wait(&self, app: &AppName, generation: u64, limit: Duration) {
        let mut receiver = self.0.clone();
        let served = |applied: &HashMap<AppName, u64>| applied.get(app).is_some_and(|served| *served >= generation);
        let _ = tokio::time::timeout(limit, receiver.wait_for(served)).await;
    }
}
