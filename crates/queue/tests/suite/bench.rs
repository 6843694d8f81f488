//! A queue to try, the process that asks and others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use skylift_blob::Blobs;
use skylift_bus::{Bus, BusSettings};
use skylift_model::run::{File, Job, RunStatus};
use skylift_model::{Clock, FilePath, RunId, Timestamp, TokenId};
use skylift_peers::{Postgres, Redis};
use skylift_queue::{Order, Queue, RedisStreams, Service};

use crate::watched::{Failures, Watched};
use skylift_store::{Document, Ended, Once, Store, TakenRun};

/// Short: it runs out in real time.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Bench {
    pub(crate) queue: Queue,
    pub(crate) beside: Beside,
    pub(crate) token: TokenId,
    store: Store,
    next: AtomicU64,
    folder: tempfile::TempDir,
    failures: Arc<Failures>,
    _server: Option<Postgres>,
}

/// What is beside the rows.
pub(crate) enum Beside {
    Nothing,
    Redis(Redis),
    #[cfg(feature = "sqs")]
    Sqs(skylift_peers::Sqs),
}

impl Bench {
    pub(crate) async fn sqlite() -> Option<Self> {
        Some(Self::on_file(Beside::Nothing))
    }

    pub(crate) async fn postgres() -> Option<Self> {
        let server = Postgres::start()?;
        let store = Store::connect(&server.url()).await.unwrap();
        Some(Self::on(store, tempfile::tempdir().unwrap(), Some(server), Beside::Nothing))
    }

    pub(crate) async fn redis() -> Option<Self> {
        Some(Self::on_file(Beside::Redis(Redis::start().await?)))
    }

    #[cfg(feature = "sqs")]
    pub(crate) async fn moto() -> Option<Self> {
        Some(Self::on_file(Beside::Sqs(skylift_peers::Sqs::moto().await?)))
    }

    #[cfg(feature = "sqs")]
    pub(crate) async fn fauxqs() -> Option<Self> {
        Some(Self::on_file(Beside::Sqs(skylift_peers::Sqs::fauxqs().await?)))
    }

    fn on_file(beside: Beside) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("skylift.db")).unwrap();
        Self::on(store, folder, None, beside)
    }

    fn on(store: Store, folder: tempfile::TempDir, server: Option<Postgres>, beside: Beside) -> Self {
        let failures = Arc::<Failures>::default();
        let queue = process(&store, &folder, &beside, &failures);
        let token = TokenId::new(Timestamp::from_millis(1), 1);
        Self { queue, beside, token, store, next: AtomicU64::new(0), folder, failures, _server: server }
    }

    /// The queue, as another process has it.
    pub(crate) fn another(&self) -> Queue {
        process(&self.store, &self.folder, &self.beside, &self.failures)
    }

    /// What is beside the rows may be away in this test. Else its failures are the test's: they would pass unseen, since the rows go on.
    pub(crate) fn may_fail(&self) {
        self.failures.may_be.store(true, Ordering::SeqCst);
    }

    /// The rows alone, as a process on this bus has them.
    pub(crate) fn rows_on(&self, bus: Bus) -> Queue {
        on_rows(&self.store, &self.folder, bus)
    }

    pub(crate) fn order(&self, priority: i32) -> Order {
        let path: FilePath = "main.py".parse().unwrap();
        let id = RunId::new(self.queue.clock.now(), self.next.fetch_add(1, Ordering::SeqCst));
        let job = Job::new(id, "python", File { path, bytes: b"print()".to_vec() });
        Order::new(job, priority, Duration::from_secs(600))
    }

    pub(crate) async fn add_with(&self, queue: &Queue, priorities: &[i32]) -> Vec<RunId> {
        let orders = priorities.iter().map(|priority| self.order(*priority)).collect();
        queue.add(&self.token, orders, Once::default()).await.unwrap().made().unwrap()
    }

    /// Queues so many.
    pub(crate) async fn add(&self, count: usize) -> Vec<RunId> {
        self.add_with(&self.queue, &vec![0; count]).await
    }

    /// What waits and is unknown to the queue becomes known, and leases of rows end when they do.
    pub(crate) async fn look_after(&self) {
        let _ = self.queue.sweep().await;
        self.store.reap_runs(self.queue.clock.now()).await.unwrap();
    }

    /// Takes until there are so many.
    pub(crate) async fn take(&self, queue: &Queue, count: usize) -> Vec<TakenRun> {
        self.take_for(queue, count, LEASE).await
    }

    pub(crate) async fn take_for(&self, queue: &Queue, count: usize, lease: Duration) -> Vec<TakenRun> {
        let mut taken = Vec::new();
        until(async || {
            let left = u32::try_from(count - taken.len()).unwrap();
            taken.extend(queue.take("w", left, lease).await.unwrap());
            taken.len() == count
        })
        .await;
        taken
    }

    pub(crate) async fn waits(&self) -> u64 {
        self.store.backlog(self.queue.clock.now()).await.unwrap().visible
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let failures = std::mem::take(&mut *self.failures.seen.lock().unwrap());
        assert!(failures.is_empty() || std::thread::panicking(), "{failures:?}");
    }
}

fn process(store: &Store, folder: &tempfile::TempDir, beside: &Beside, failures: &Arc<Failures>) -> Queue {
    let queue = on_rows(store, folder, Bus::in_process());
    match service(beside) {
        Some(service) => queue.beside(Arc::new(Watched { service, failures: failures.clone() })),
        None => queue,
    }
}

fn on_rows(store: &Store, folder: &tempfile::TempDir, bus: Bus) -> Queue {
    let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
    Queue::new(store.clone(), blobs, bus, clock())
}

/// A connection of one's own to what is beside the rows.
pub(crate) fn service(beside: &Beside) -> Option<Arc<dyn Service>> {
    match beside {
        Beside::Nothing => None,
        Beside::Redis(redis) => {
            let settings = BusSettings { url: redis.url(), ..BusSettings::default() };
            Some(Arc::new(RedisStreams::new(&settings).unwrap()))
        }
        #[cfg(feature = "sqs")]
        Beside::Sqs(sqs) => {
            let settings = skylift_queue::SqsSettings {
                queue_url: sqs.queue_url(),
                endpoint: Some(sqs.endpoint()),
                access_key_id: skylift_peers::Sqs::ACCESS_KEY_ID.to_owned(),
                secret_access_key: skylift_peers::Sqs::SECRET_ACCESS_KEY.to_owned().into(),
                again_seconds: 1,
                timeout_ms: 60_000,
                ..skylift_queue::SqsSettings::default()
            };
            Some(Arc::new(skylift_queue::Sqs::new(&settings).unwrap()))
        }
    }
}

pub(crate) fn clock() -> Clock {
    Clock::new(|| {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    })
}

/// As one that went well.
pub(crate) fn ended(taken: &TakenRun, text: &str) -> (TakenRun, Ended) {
    let ending = Document::Inline(text.to_owned());
    (taken.clone(), Ended { id: taken.id.clone(), status: RunStatus::Ok, ending })
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap();
}
