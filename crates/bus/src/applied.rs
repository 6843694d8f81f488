//! Which routes are served, and by whom: so that "live" is said only when every edge that serves answers with it.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use skylift_model::{AppName, InstanceId};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::{Bus, Message, PurgeWhat, Received};

/// How long nothing is heard before the edges are asked: what they said may have been missed, or said before this
/// process began to listen.
const ASK_AFTER: Duration = Duration::from_millis(250);
/// How often they are asked again, and looked for: one that died stops counting when its time is up.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The edges that serve at this moment, by name; `None` where that cannot be told.
pub type Edges = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Option<Vec<String>>> + Send>> + Send + Sync>;

/// How many drained instances are remembered. Each is waited for by somebody who asks again.
const DRAINED_MAX: usize = 4096;

/// What edges were heard to say.
#[derive(Default)]
struct Heard {
    /// The generation of each app's routes that they serve, by edge.
    served: HashMap<AppName, HashMap<String, u64>>,
    /// At which edges nothing is under way at an instance any more.
    drained: HashMap<InstanceId, HashSet<String>>,
}

/// What edges were heard to serve, and to have ended.
#[derive(Clone)]
pub struct Applied {
    bus: Bus,
    edges: Edges,
    heard: watch::Receiver<Heard>,
}

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Every edge that serves was heard to serve it.
    Everywhere,
    /// Not all of them within the limit, or there is none.
    NotEverywhere,
}

impl Applied {
    /// Listens to the bus for as long as it lives.
    pub fn follow(bus: &Bus, edges: Edges) -> Self {
        let mut subscription = bus.subscribe();
        let (sender, receiver) = watch::channel(Heard::default());
        tokio::spawn(async move {
            loop {
                match subscription.next().await {
                    Received::Message(Message::RoutesApplied(app, generation, edge)) => sender.send_modify(|heard| {
                        let served = heard.served.entry(app).or_default().entry(edge).or_insert(generation);
                        // An app that is gone may come back under its name, and then counts from the beginning.
                        *served = if generation == 0 { 0 } else { generation.max(*served) };
                    }),
                    Received::Message(Message::Drained(instance, edge)) => sender.send_modify(|heard| {
                        if heard.drained.len() >= DRAINED_MAX {
                            heard.drained.clear();
                        }
                        heard.drained.entry(instance).or_default().insert(edge);
                    }),
                    Received::Closed => return,
                    Received::Message(_) | Received::Missed => {}
                }
            }
        });
        Self { bus: bus.clone(), edges, heard: receiver }
    }

    /// Waits until every edge serves the app's routes at `generation` or later, at most `limit`: an edge that cannot be
    /// heard must not hold everything up.
    pub async fn wait(&self, app: &AppName, generation: u64, limit: Duration) -> Served {
        self.until(app, limit, |heard, edge| heard.serves(app, edge).is_some_and(|served| served >= generation)).await
    }

    /// Waits until nothing is under way at a draining instance of an app any more, at most `limit`.
    pub async fn wait_drained(&self, app: &AppName, instance: &InstanceId, limit: Duration) -> Served {
        self.until(app, limit, |heard, edge| heard.drained.get(instance).is_some_and(|edges| edges.contains(edge)))
            .await
    }

    /// Waits until no edge serves anything of the app, at most `limit`.
    pub async fn wait_gone(&self, app: &AppName, limit: Duration) -> Served {
        self.until(app, limit, |heard, edge| heard.serves(app, edge) == Some(0)).await
    }

    /// Has every edge that serves drop answers that it keeps for an app, and waits until they say that they have, at most
    /// `limit`. `id`: a number that nobody else uses at this time.
    pub async fn purge(&self, app: AppName, what: PurgeWhat, id: u64, limit: Duration) -> Served {
        let end = Instant::now() + limit;
        let mut messages = self.bus.subscribe();
        // One that begins to serve later keeps nothing yet.
        let edges = timeout_at(end, (self.edges)()).await.ok().flatten().unwrap_or_default();
        let mut waited_for: HashSet<String> = edges.into_iter().collect();
        self.bus.publish(Message::Purge(app, what, id));
        if waited_for.is_empty() {
            return Served::NotEverywhere;
        }
        while let Ok(received) = timeout_at(end, messages.next()).await {
            match received {
                Received::Message(Message::Purged(done, edge)) if done == id => drop(waited_for.remove(&edge)),
                Received::Closed => return Served::NotEverywhere,
                Received::Message(_) | Received::Missed => {}
            }
            if waited_for.is_empty() {
                return Served::Everywhere;
            }
        }
        Served::NotEverywhere
    }

    async fn until(&self, app: &AppName, limit: Duration, is_reached: impl Fn(&Heard, &str) -> bool) -> Served {
        let mut receiver = self.heard.clone();
        let (began, mut asked) = (Instant::now(), 0_u32);
        let end = began + limit;
        loop {
            // Edges are looked for before what they said is looked at: one that begins to serve reads the routes after it
            // is known, so it has what was there before.
            let edges = timeout_at(end, (self.edges)()).await.ok().flatten().unwrap_or_default();
            let next = end.min(began + ASK_AFTER + ASK_EVERY * asked);
            let everywhere = |heard: &Heard| !edges.is_empty() && edges.iter().all(|edge| is_reached(heard, edge));
            match timeout_at(next, receiver.wait_for(everywhere)).await {
                Ok(Ok(_)) => return Served::Everywhere,
                Ok(Err(_)) => return Served::NotEverywhere,
                Err(_) if Instant::now() >= end => return Served::NotEverywhere,
                // An edge that is told of a change says what it serves, even where that is no change.
                Err(_) => self.bus.publish(Message::RoutesChanged(app.clone())),
            }
            asked += 1;
        }
    }
}

impl Heard {
    fn serves(&self, app: &AppName, edge: &str) -> Option<u64> {
        self.served.get(app)?.get(edge).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn a_purge_is_done_when_every_edge_has_said_so() {
        let bus = Bus::in_process();
        let (known, edges) = edges(&["e-1", "e-2"]);
        let applied = Applied::follow(&bus, edges);
        let purge = |id| applied.purge(app(), PurgeWhat::Everything, id, Duration::from_millis(300));
        let say = async |id, names: &[&str]| {
            let mut heard = bus.subscribe();
            let asked = Message::Purge(app(), PurgeWhat::Everything, id);
            heard.wait_for(|message| *message == asked).await;
            names.iter().for_each(|name| bus.publish(Message::Purged(id, (*name).to_owned())));
        };
        assert_eq!(tokio::join!(say(1, &["e-1", "e-2"]), purge(1)).1, Served::Everywhere);
        assert_eq!(tokio::join!(say(2, &["e-1"]), purge(2)).1, Served::NotEverywhere);
        known.lock().unwrap().clear();
        assert_eq!(purge(3).await, Served::NotEverywhere, "nobody has said anything");
    }

    const LONG: Duration = Duration::from_secs(3600);

    fn app() -> AppName {
        "shop".parse().unwrap()
    }

    /// Edges that a test can change.
    fn edges(names: &[&str]) -> (Arc<Mutex<Vec<String>>>, Edges) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let known = Arc::new(Mutex::new(names));
        let asked = known.clone();
        let edges: Edges = Arc::new(move || {
            let now = asked.lock().unwrap().clone();
            Box::pin(async move { Some(now) })
        });
        (known, edges)
    }

    fn says(bus: &Bus, edge: &str, generation: u64) {
        bus.publish(Message::RoutesApplied(app(), generation, edge.to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_that_comes_back_under_its_name_is_not_taken_for_the_one_before() {
        let bus = Bus::in_process();
        let applied = Applied::follow(&bus, edges(&["a"]).1);
        says(&bus, "a", 5);
        assert_eq!(applied.wait(&app(), 5, LONG).await, Served::Everywhere);
        says(&bus, "a", 0);
        assert_eq!(applied.wait_gone(&app(), LONG).await, Served::Everywhere);
        // Generation 1 is not served yet, whatever was served before.
        assert_eq!(applied.wait(&app(), 1, LONG).await, Served::NotEverywhere);
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_edge_said_before_anybody_listened_is_asked_for() {
        let bus = Bus::in_process();
        says(&bus, "a", 5);
        let applied = Applied::follow(&bus, edges(&["a"]).1);
        let (mut edge, began) = (bus.subscribe(), Instant::now());
        let answers = async {
            edge.wait_for(|message| *message == Message::RoutesChanged(app())).await;
            says(&bus, "a", 5);
        };
        let app = app();
        let (served, ()) = tokio::join!(applied.wait(&app, 5, LONG), answers);
        assert_eq!(served, Served::Everywhere);
        assert!(began.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn every_edge_that_serves_counts_and_one_that_is_gone_does_not() {
        let bus = Bus::in_process();
        let (known, edges) = edges(&["a", "b"]);
        let applied = Applied::follow(&bus, edges);
        says(&bus, "a", 5);
        let limit = Duration::from_secs(10);
        assert_eq!(applied.wait(&app(), 5, limit).await, Served::NotEverywhere, "b serves, and was not heard");
        says(&bus, "b", 4);
        assert_eq!(applied.wait(&app(), 5, limit).await, Served::NotEverywhere, "b serves what was before");
        // Its time ends while somebody waits.
        let app = app();
        let (served, ()) = tokio::join!(applied.wait(&app, 5, limit), async {
            tokio::time::advance(Duration::from_secs(3)).await;
            known.lock().unwrap().retain(|edge| edge == "a");
        });
        assert_eq!(served, Served::Everywhere);
        known.lock().unwrap().clear();
        assert_eq!(applied.wait(&app, 5, limit).await, Served::NotEverywhere, "nobody serves");
    }

    #[tokio::test(start_paused = true)]
    async fn while_nobody_can_tell_who_serves_the_wait_ends_with_its_limit() {
        let bus = Bus::in_process();
        let applied = Applied::follow(&bus, Arc::new(|| Box::pin(std::future::pending())));
        says(&bus, "a", 5);
        let began = Instant::now();
        assert_eq!(applied.wait(&app(), 5, Duration::from_secs(10)).await, Served::NotEverywhere);
        assert_eq!(began.elapsed().as_secs(), 10);
    }
}
