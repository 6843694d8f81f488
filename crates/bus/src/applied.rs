//! Which routes are served: so that "live" is said only when the edge answers with it.

use std::collections::HashMap;
use std::time::Duration;

use skylift_model::AppName;
use tokio::sync::watch;

use crate::{Bus, Message, Received};

/// How long nothing is heard before the edges are asked: what they said may have been missed, or said before this
/// process began to listen.
const ASK_AFTER: Duration = Duration::from_millis(250);

/// The generation of each app's routes that an edge was heard to serve.
#[derive(Clone)]
pub struct Applied {
    bus: Bus,
    heard: watch::Receiver<HashMap<AppName, u64>>,
}

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
                        // An app that is gone may come back under its name, and then counts from the beginning.
                        *served = if generation == 0 { 0 } else { generation.max(*served) };
                    }),
                    Received::Closed => return,
                    Received::Message(_) | Received::Missed => {}
                }
            }
        });
        Self { bus: bus.clone(), heard: receiver }
    }

    /// Waits until the app's routes are served at `generation` or later, at most `limit`: an edge that cannot be
    /// heard must not hold everything up.
    pub async fn wait(&self, app: &AppName, generation: u64, limit: Duration) {
        self.until(app, limit, |served| served >= generation).await;
    }

    /// Waits until nothing of the app is served, at most `limit`.
    pub async fn wait_gone(&self, app: &AppName, limit: Duration) {
        self.until(app, limit, |served| served == 0).await;
    }

    async fn until(&self, app: &AppName, limit: Duration, is_reached: impl Fn(u64) -> bool) {
        let mut receiver = self.heard.clone();
        let heard = |applied: &HashMap<AppName, u64>| applied.get(app).is_some_and(|served| is_reached(*served));
        let asked_after = limit.min(ASK_AFTER);
        if tokio::time::timeout(asked_after, receiver.wait_for(heard)).await.is_err() {
            // An edge that is told of a change says what it serves, even where that is no change.
            self.bus.publish(Message::RoutesChanged(app.clone()));
            let _ = tokio::time::timeout(limit - asked_after, receiver.wait_for(heard)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn an_app_that_comes_back_under_its_name_is_not_taken_for_the_one_before() {
        let bus = Bus::in_process();
        let applied = Applied::follow(&bus);
        let app: AppName = "shop".parse().unwrap();
        let began = tokio::time::Instant::now();
        bus.publish(Message::RoutesApplied(app.clone(), 5));
        applied.wait(&app, 5, LONG).await;
        bus.publish(Message::RoutesApplied(app.clone(), 0));
        applied.wait_gone(&app, LONG).await;
        assert!(began.elapsed() < LONG);

        applied.wait(&app, 1, LONG).await;
        assert!(began.elapsed() >= LONG, "generation 1 is not served yet, whatever was served before");
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_edge_said_before_anybody_listened_is_asked_for() {
        let bus = Bus::in_process();
        let app: AppName = "shop".parse().unwrap();
        bus.publish(Message::RoutesApplied(app.clone(), 5));
        let applied = Applied::follow(&bus);
        let (mut edge, began) = (bus.subscribe(), tokio::time::Instant::now());
        let waits = applied.wait(&app, 5, LONG);
        let answers = async {
            edge.wait_for(|message| *message == Message::RoutesChanged(app.clone())).await;
            bus.publish(Message::RoutesApplied(app.clone(), 5));
        };
        tokio::join!(waits, answers);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}
