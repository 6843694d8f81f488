//! A server whose place a copy takes (threat 95).

use std::collections::HashSet;

use skylift_model::{DeploymentId, DeploymentState, Digest, Timestamp};
use skylift_peers::Postgres;
use skylift_store::{Store, StoreError};

use crate::bench::{Bench, Home, rounds};
use crate::commits::raw;
use crate::way::Way;

/// A server with a copy that follows it, and a store on a way that leads to the first.
struct Pair {
    first: Postgres,
    copy: Postgres,
    way: Way,
    store: Store,
    deployment: DeploymentId,
}

impl Pair {
    async fn start() -> Option<Self> {
        let server = Postgres::start_with(&["fsync=off", "max_connections=60"])?;
        let mut bench = Bench::at(Home::Postgres(server)).await;
        let deployment = bench.deploy().await;
        let Home::Postgres(first) = bench.home else { unreachable!() };
        let copy = first.copy();
        let way = Way::to(&first);
        let store = Store::connect(&way.url()).await.unwrap();
        Some(Self { first, copy, way, store, deployment })
    }

    /// From here on a commit is one only when the copy has it.
    async fn insist_on_the_copy(&self) {
        let client = raw(&self.first.url()).await;
        client.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let asked = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        while client.query(asked, &[]).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    async fn write(&self, text: &str) -> Result<(), StoreError> {
        let now = Timestamp::from_millis(1);
        self.store.add_event(self.deployment.clone(), DeploymentState::Queued, text.to_owned(), now).await
    }

    /// Writes until that many were acknowledged; those that were.
    async fn write_many(&self, name: &str, count: usize) -> Vec<String> {
        let mut acknowledged = Vec::new();
        for number in 0.. {
            let text = format!("{name} {number}");
            match self.write(&text).await {
                Ok(()) => acknowledged.push(text),
                Err(StoreError::Unavailable(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
            if acknowledged.len() == count {
                break;
            }
        }
        acknowledged
    }

    /// The first one dies, the copy takes its place.
    fn fail_over(&mut self) {
        self.first.kill();
        self.copy.promote();
        self.way.lead_to(&self.copy);
    }

    /// Those of some texts that are not there, or there twice.
    async fn wrong(&self, texts: &[String]) -> Vec<String> {
        let mut there = Vec::new();
        let mut after = 0;
        loop {
            let some = self.store.events(self.deployment.clone(), after).await.unwrap();
            let Some(last) = some.last() else { break };
            after = last.seq;
            there.extend(some.into_iter().map(|event| event.message));
        }
        let once: HashSet<&String> = there.iter().collect();
        let times = |text: &&String| there.iter().filter(|other| other == text).count() != 1;
        assert!(!once.is_empty());
        texts.iter().filter(times).cloned().collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_takes_the_place_of_its_server_has_everything_that_was_acknowledged() {
    let Some(mut pair) = Pair::start().await else { return };
    pair.insist_on_the_copy().await;
    let mut acknowledged = pair.write_many("before", 300).await;
    pair.fail_over();
    acknowledged.extend(pair.write_many("after", 100).await);
    assert_eq!(pair.wrong(&acknowledged).await, [""; 0]);
}

/// The control: a copy that is not waited for, and lags, has not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_a_copy_that_is_not_waited_for_lacks_what_was_acknowledged() {
    let Some(mut pair) = Pair::start().await else { return };
    pair.copy.freeze();
    // More than sockets hold: what is in them the copy still gets.
    let bulk: String = (0..3200_u32).map(|number| Digest::of(&number.to_be_bytes()).to_string()).collect();
    let acknowledged = pair.write_many(&bulk, 100).await;
    pair.first.kill();
    pair.copy.thaw();
    pair.fail_over();
    pair.write_many("after", 1).await;
    assert!(!pair.wrong(&acknowledged).await.is_empty());
}

/// Whoever writes is told late, so that this is tried in the soak only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_copy_that_must_be_waited_for_does_not_have_is_not_acknowledged() {
    if rounds(0, 1) == 0 {
        return;
    }
    let Some(mut pair) = Pair::start().await else { return };
    pair.insist_on_the_copy().await;
    let acknowledged = pair.write_many("before", 10).await;
    pair.copy.freeze();
    let told = pair.write("while it is away").await;
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    pair.first.kill();
    pair.copy.thaw();
    pair.fail_over();
    let more = pair.write_many("after", 10).await;
    assert_eq!(pair.wrong(&[acknowledged, more].concat()).await, [""; 0]);
}
