//! The one place that reads clocks: the system's, and for processes that share a database that of its server.
//!
//! Leases, retries and what is kept for how long are times in rows that several machines write. They go by one clock, the
//! server's: it is asked now and then, and in between the time that passed since is added, which nobody can set.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use skylift_durable::{Defence, left_out};
use skylift_model::{Clock, Timestamp, chain};
use skylift_store::{Store, StoreError};

/// How often the server is asked.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// An answer that took longer tells too little.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// From which difference on somebody should look at this machine's clock.
const WORTH_TELLING: Duration = Duration::from_secs(5);

/// The system's clock.
pub(crate) fn system() -> Clock {
    Clock::new(system_now)
}

/// The clock of the rows: that of the server they are on, else the system's. Until the server has been asked, and where it
/// never can be, it is the system's.
pub(crate) async fn of_rows(store: &Store) -> Clock {
    if !store.is_shared() || left_out(Defence::ServerTime) {
        return system();
    }
    // A later answer would not be taken, and none is waited for by who starts without the server.
    let asked = tokio::time::timeout(ANSWER_WITHIN, ask(store)).await;
    let anchor = Arc::new(RwLock::new(asked.map_or(None, |asked| asked.unwrap_or(None))));
    tokio::spawn(follow(store.clone(), anchor.clone()));
    Clock::new(move || match *anchor.read().unwrap_or_else(PoisonError::into_inner) {
        Some(Anchor { server, at }) => server.plus(at.elapsed()),
        None => system_now(),
    })
}

/// What the server's clock said, and when.
#[derive(Clone, Copy)]
struct Anchor {
    server: Timestamp,
    at: Instant,
}

/// Asks the server again and again, for as long as the process runs.
async fn follow(store: Store, anchor: Arc<RwLock<Option<Anchor>>>) {
    let mut is_told = false;
    loop {
        match ask(&store).await {
            Ok(Some(asked)) => {
                let apart = apart(asked.server.plus(asked.at.elapsed()), system_now());
                if apart > WORTH_TELLING && !is_told {
                    let seconds = apart.as_secs();
                    tracing::warn!(
                        seconds,
                        "this machine's clock and the database's differ; times go by the database's"
                    );
                }
                is_told = apart > WORTH_TELLING;
                *anchor.write().unwrap_or_else(PoisonError::into_inner) = Some(asked);
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(error = chain(&error), "the database does not tell the time"),
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// `None` where the answer took too long.
async fn ask(store: &Store) -> Result<Option<Anchor>, StoreError> {
    let asked = Instant::now();
    let server = store.server_time().await?;
    let took = asked.elapsed();
    Ok(server.filter(|_| took < ANSWER_WITHIN).map(|server| Anchor { server, at: asked + took / 2 }))
}

fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

fn system_now() -> Timestamp {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
