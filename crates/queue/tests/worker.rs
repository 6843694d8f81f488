//! Workers and those who wait, on a real store: every run settles once, whatever happens to whoever has it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use skylift_blob::Blobs;
use skylift_bus::Bus;
use skylift_model::run::{Ending, File, Job, RunState, RunStatus, Step};
use skylift_model::{Clock, RunId, Timestamp, TokenId};
use skylift_queue::{Dispatch, Duty, Execute, Failed, Live, Load, Order, Queue, Waiting};
use skylift_store::{Once, Store, TakenRun};
use tokio::sync::{Notify, watch};

/// Does what the job's input says, and counts how often each run was begun.
#[derive(Default)]
struct Fake {
    begun: Mutex<HashMap<RunId, u64>>,
    /// What waits goes on.
    go_on: Notify,
    dropped: AtomicU64,
}

struct Dropped<'f>(&'f Fake);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Execute for Fake {
    fn execute<'r>(&'r self, job: Job, _: &'r TakenRun, live: Arc<Live>) -> BoxFuture<'r, Result<Ending, Failed>> {
        Box::pin(async move {
            *self.begun.lock().unwrap().entry(job.id.clone()).or_default() += 1;
            live.began();
            match job.stdins[0].as_slice() {
                b"wait" => {
                    let _dropped = Dropped(self);
                    self.go_on.notified().await;
                }
                b"fail" => return Err(Failed::Fault("there is no sandbox".to_owned())),
                b"panic" => panic!("a fault"),
                _ => {}
            }
            live.heard(true, &job.stdins[0]);
            Ok(ending(&job.stdins[0]))
        })
    }
}

fn ending(stdout: &[u8]) -> Ending {
    Ending::of_steps(vec![Step { stdout: stdout.to_vec(), ..Step::exited(0) }], "1")
}

struct Bench {
    queue: Queue,
    fake: Arc<Fake>,
    token: TokenId,
    next: AtomicU64,
    _folder: tempfile::TempDir,
}

fn clock() -> Clock {
    Clock::new(|| {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    })
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("skylift.db")).unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
        let queue = Queue::new(store, blobs, Bus::in_process(), clock());
        let token = TokenId::new(Timestamp::from_millis(1), 1);
        Self { queue, fake: Arc::default(), token, next: AtomicU64::new(0), _folder: folder }
    }

    fn order(&self, stdin: &[u8]) -> Order {
        let path: skylift_model::FilePath = "main.py".parse().unwrap();
        let id = RunId::new(self.queue.clock.now(), self.next.fetch_add(1, Ordering::SeqCst));
        let job = Job::new(id, "python", File { path, bytes: b"print()".to_vec() });
        let job = Job { stdins: vec![stdin.to_vec()], ..job };
        Order::new(job, 0, Duration::from_secs(60))
    }

    async fn add(&self, stdin: &[u8]) -> RunId {
        let order = self.order(stdin);
        self.queue.add(&self.token, vec![order], Once::default()).await.unwrap().made().unwrap().remove(0)
    }

    fn worker(&self, at_once: usize) -> Worker {
        let (stop, stopped) = watch::channel(false);
        let (queue, execute) = (self.queue.clone(), self.fake.clone());
        let (duty, load) = (watch::Sender::new(Duty::Serve), Arc::<Load>::default());
        let told = duty.subscribe();
        let dispatch = Dispatch { queue, execute, name: "w".to_owned(), at_once, load: load.clone(), duty: told };
        Worker { stop, task: tokio::spawn(dispatch.run(stopped)), duty, load }
    }

    fn waiting(&self) -> (Waiting, Worker) {
        let (stop, stopped) = watch::channel(false);
        let waiting = Waiting::default();
        let task = tokio::spawn(waiting.clone().run(self.queue.clone(), stopped));
        (waiting, Worker { stop, task, duty: watch::Sender::default(), load: Arc::default() })
    }

    async fn state(&self, id: &RunId) -> RunState {
        self.queue.store.run(id.clone(), None).await.unwrap().state
    }

    /// Waits until a run is as it should be; a minute at most.
    async fn until(&self, id: &RunId, is_so: impl Fn(RunState) -> bool) {
        tokio::time::timeout(Duration::from_secs(60), async {
            while !is_so(self.state(id).await) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
    }

    fn begun(&self, id: &RunId) -> u64 {
        self.fake.begun.lock().unwrap().get(id).copied().unwrap_or_default()
    }
}

struct Worker {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
    duty: watch::Sender<Duty>,
    load: Arc<Load>,
}

impl Worker {
    /// Tells it what to do, and waits until it takes runs no more, or again.
    async fn told(&self, duty: Duty) {
        self.duty.send(duty).unwrap();
        while self.load.drains() == (duty == Duty::Serve) {
            self.load.changed().await;
        }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_wait_are_told_over_one_subscription_and_every_run_runs_once() {
    let bench = Bench::new();
    let (waiting, hears) = bench.waiting();
    let orders: Vec<Order> = (0..2000).map(|number: u32| bench.order(number.to_string().as_bytes())).collect();
    let waiters: Vec<_> = orders.iter().map(|order| waiting.wait_for(&order.job.id)).collect();
    let ids = bench.queue.add(&bench.token, orders, Once::default()).await.unwrap().made().unwrap();
    let workers = [bench.worker(4), bench.worker(4)];
    for (number, (id, waiter)) in ids.iter().zip(waiters).enumerate() {
        let row = waiter.settled().await.unwrap();
        assert_eq!((&row.id, row.state, row.attempts), (id, RunState::Done, 1));
        let ending = bench.queue.ending(&row).await.unwrap().unwrap();
        assert_eq!(ending.steps[0].stdout, number.to_string().as_bytes());
        assert_eq!(bench.begun(id), 1);
    }
    for worker in workers {
        worker.stop().await;
    }
    hears.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_ends_wherever_it_is() {
    let bench = Bench::new();
    let worker = bench.worker(1);
    let runs = bench.add(b"wait").await;
    bench.until(&runs, |state| state == RunState::Running).await;
    let waits = bench.add(b"").await;
    for id in [&waits, &runs] {
        bench.queue.cancel(id.clone(), None, Once::default()).await.unwrap();
    }
    // Its place is free for another only once it was dropped.
    let next = bench.add(b"").await;
    bench.until(&next, |state| state == RunState::Done).await;
    assert_eq!(bench.fake.dropped.load(Ordering::SeqCst), 1);
    assert_eq!((bench.state(&waits).await, bench.state(&runs).await), (RunState::Cancelled, RunState::Cancelled));
    assert_eq!(bench.begun(&waits), 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_gives_back_what_it_cannot_end() {
    let bench = Bench::new();
    let worker = bench.worker(1);
    let (first, second) = (bench.add(b"wait").await, bench.add(b"").await);
    bench.until(&first, |state| state == RunState::Running).await;
    worker.stop().await;
    assert_eq!((bench.state(&first).await, bench.state(&second).await), (RunState::Queued, RunState::Queued));
    let other = bench.worker(2);
    bench.until(&second, |state| state == RunState::Done).await;
    bench.until(&first, |state| state == RunState::Running).await;
    bench.fake.go_on.notify_one();
    bench.until(&first, |state| state == RunState::Done).await;
    assert_eq!(bench.queue.store.run(first, None).await.unwrap().attempts, 1, "what is given back was not tried");
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_is_tried_again_and_given_up_with_the_reason() {
    let bench = Bench::new();
    let worker = bench.worker(2);
    let (fails, panics) = (bench.add(b"fail").await, bench.add(b"panic").await);
    for (id, error) in [(fails, "there is no sandbox"), (panics, "the worker failed")] {
        bench.until(&id, |state| state == RunState::Dead).await;
        let row = bench.queue.store.run(id.clone(), None).await.unwrap();
        assert_eq!((row.error.as_deref(), bench.begun(&id)), (Some(error), 3));
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_large_lies_in_the_blob_store() {
    let bench = Bench::new();
    let stdin = "x".repeat(100 << 10);
    let id = bench.add(stdin.as_bytes()).await;
    let worker = bench.worker(1);
    bench.until(&id, |state| state == RunState::Done).await;
    let row = bench.queue.store.run(id, None).await.unwrap();
    assert_eq!(bench.queue.store.references().await.unwrap().runs.len(), 2);
    assert_eq!(bench.queue.job(&row).await.unwrap().stdins[0], stdin.as_bytes());
    assert_eq!(bench.queue.ending(&row).await.unwrap().unwrap().steps[0].stdout, stdin.as_bytes());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_drains_takes_nothing_finishes_what_it_has_and_may_serve_again() {
    let bench = Bench::new();
    let worker = bench.worker(2);
    let held = bench.add(b"wait").await;
    bench.until(&held, |state| state == RunState::Running).await;
    worker.told(Duty::Drain).await;
    let waits = bench.add(b"").await;
    let seen = bench.queue.store.runs_seen(Timestamp::from_millis(0), clock().now()).await.unwrap();
    assert_eq!((seen.visible, seen.queued, seen.held.get("w")), (1, 2, Some(&1)));
    bench.fake.go_on.notify_one();
    bench.until(&held, |state| state == RunState::Done).await;
    assert_eq!((bench.state(&waits).await, bench.begun(&waits)), (RunState::Queued, 0));
    assert_eq!(worker.load.done().0, 1);
    worker.told(Duty::Serve).await;
    bench.until(&waits, |state| state == RunState::Done).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_by_who_drains_for_too_long_is_run_elsewhere_and_ends_once() {
    let bench = Bench::new();
    let worker = bench.worker(1);
    let held = bench.add(b"wait").await;
    bench.until(&held, |state| state == RunState::Running).await;
    worker.told(Duty::Drain).await;
    worker.told(Duty::GiveBack).await;
    bench.until(&held, |state| state == RunState::Queued).await;
    let other = bench.worker(1);
    bench.until(&held, |state| state == RunState::Running).await;
    bench.fake.go_on.notify_waiters();
    bench.fake.go_on.notify_one();
    bench.until(&held, |state| state == RunState::Done).await;
    assert_eq!(bench.queue.store.run(held.clone(), None).await.unwrap().attempts, 1);
    assert_eq!((bench.begun(&held), worker.load.done().0, other.load.done().0), (2, 0, 1));
    worker.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn where_there_is_no_room_the_verdict_is_kept_with_the_beginning_of_what_was_printed() {
    let bench = Bench::new();
    let printed = vec![b'x'; 1 << 20];
    let kept = async |queue: Queue| {
        let order = bench.order(b"");
        let id = order.job.id.clone();
        queue.keep(&bench.token, (order, bench.queue.clock.now()), &ending(&printed)).await.unwrap();
        let row = queue.store.run(id, None).await.unwrap();
        let is_inline = matches!(row.ending, Some(skylift_store::Document::Inline(_)));
        (queue.ending(&row).await.unwrap().unwrap().steps.remove(0), is_inline)
    };
    let (step, is_inline) = kept(bench.queue.clone().within(Arc::new(|| true))).await;
    assert!(step.stdout == printed && !step.stdout_truncated && !is_inline, "control: with room it is whole");
    let (step, is_inline) = kept(bench.queue.clone().within(Arc::new(|| false))).await;
    assert!(is_inline && step.stdout_truncated && !step.stderr_truncated && step.status == RunStatus::Ok);
    assert!(!step.stdout.is_empty() && printed.starts_with(&step.stdout), "{}", step.stdout.len());
}
