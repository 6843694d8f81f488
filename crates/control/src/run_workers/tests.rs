use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use skylift_bus::Bus;
use skylift_model::wire::{Pace, WorkerTold};
use skylift_model::{Clock, Digest, RunId, TokenId};
use skylift_store::{Document, NewRun, Once, Store, TakenRun};

use super::host::{LEADS_FOR, REST_MAX};
use super::*;

/// Processes that are none: what each was told, and whether it lives.
#[derive(Clone, Default)]
struct Fakes(Arc<Mutex<BTreeMap<String, Vec<Told>>>>);

impl Fakes {
    fn told(&self, name: &str) -> Option<Told> {
        self.0.lock().unwrap().get(name)?.last().copied()
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    fn dies(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }
}

impl Children for Fakes {
    fn living(&mut self) -> Vec<Child> {
        self.names().into_iter().map(|name| Child { name, started: Instant::now() }).collect()
    }

    fn start(&mut self) -> io::Result<Child> {
        let mut all = self.0.lock().unwrap();
        let name = (1..).map(|number| format!("here-{number}")).find(|name| !all.contains_key(name)).unwrap();
        all.insert(name.clone(), Vec::new());
        Ok(Child { name, started: Instant::now() })
    }

    fn tell(&mut self, name: &str, told: Told) {
        self.0.lock().unwrap().get_mut(name).unwrap().push(told);
    }

    fn end_all(&mut self) -> BoxFuture<'_, ()> {
        self.0.lock().unwrap().clear();
        Box::pin(async {})
    }
}

/// A platform with one worker of its own, one more that scales, and a clock that goes on by a second a tick.
struct Bench {
    scaler: WorkerScaler,
    store: Store,
    fakes: Fakes,
    millis: Arc<AtomicI64>,
    next: u64,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new(max: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("skylift.db")).unwrap();
        let millis = Arc::new(AtomicI64::new(1_700_000_000_000));
        let clock = {
            let millis = millis.clone();
            Clock::new(move || Timestamp::from_millis(millis.load(Ordering::SeqCst)))
        };
        let fakes = Fakes::default();
        let queue = Queue { store: store.clone(), bus: Bus::in_process(), clock };
        let bounds = bounds(0, max);
        let scaler = WorkerScaler::new(queue, Arc::default()).with_host("here".into(), bounds, Box::new(fakes.clone()));
        let mut bench = Self { scaler, store, fakes, millis, next: 0, _folder: folder };
        bench.tells("here", false).await;
        bench.tick().await;
        bench
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }

    /// A second goes by, in which whoever lives tells that it does, and it is decided.
    async fn tick(&mut self) {
        self.millis.fetch_add(1000, Ordering::SeqCst);
        self.tells("here", false).await;
        self.scaler.tick().await.unwrap();
    }

    /// A worker tells how it is.
    async fn tells(&mut self, name: &str, drains: bool) {
        let started_by = (name != "here").then(|| "here".to_owned());
        let (languages, version, tuner) = (Vec::new(), String::new(), None);
        let told = WorkerTold {
            languages,
            at_once: 2,
            running: 0,
            ahead: 0,
            version,
            tuner,
            started_by,
            drains,
            lately: Pace::default(),
        };
        let told = serde_json::to_string(&told).unwrap();
        self.store.tell_worker(name.to_owned(), told, self.now()).await.unwrap();
    }

    async fn queue(&mut self, count: u64) {
        let now = self.now();
        let new = (0..count).map(|number| NewRun {
            id: RunId::new(now, self.next + number),
            token: TokenId::new(now, 1),
            language: "python".into(),
            priority: 0,
            job: Document::Inline("{}".into()),
            sha256: Digest::of(b"{}"),
            ttl: Duration::from_secs(60),
            via: None,
            callback: None,
        });
        let new = new.collect();
        self.next += count;
        self.store.add_runs(new, Once::default(), now).await.unwrap();
    }

    async fn take(&self, name: &str, most: u32) -> Vec<TakenRun> {
        self.store.take_runs(name.to_owned(), most, self.now(), Duration::from_secs(60)).await.unwrap()
    }

    async fn cancel(&self, taken: Vec<TakenRun>) {
        for run in taken {
            self.store.cancel_run(run.id, None, Once::default(), self.now()).await.unwrap();
        }
    }
}

fn bounds(min: u32, max: u32) -> WorkerBounds {
    WorkerBounds { min, max, backlog_per_instance: 5.0, at_once: 2, grace: Duration::from_secs(60) }
}

#[tokio::test]
async fn a_burst_starts_workers_and_drained_they_go_but_for_those_that_hold_a_run() {
    let mut bench = Bench::new(3).await;
    assert_eq!(bench.fakes.names(), [""; 0], "nothing waits");
    bench.queue(20).await;
    bench.tick().await;
    let names = ["here-1", "here-2", "here-3"].map(str::to_owned);
    assert_eq!(bench.fakes.names(), names, "20 ÷ 5, one of them there anyway");
    for name in &names {
        bench.tells(name, false).await;
    }
    bench.tick().await;
    let leader = bench.store.leader(WorkerScaling::LEAD, bench.now()).await.unwrap().unwrap();
    let told: WorkerScaling = serde_json::from_str(&leader.told.unwrap()).unwrap();
    assert_eq!((leader.holder.as_str(), told.desired, told.fixed, told.max), ("here", 4, 1, 3));
    assert!(told.answers[0].why.contains("ApproximateNumberOfMessagesVisible 20"), "{told:?}");
    // All of it is taken: by the one that was there, and by one of the others.
    let (first, held) = (bench.take("here", 19).await, bench.take("here-2", 1).await);
    bench.cancel(first).await;
    bench.tick().await;
    assert_eq!(bench.fakes.told("here-2"), None, "it holds a run");
    for name in ["here-1", "here-3"] {
        assert_eq!(bench.fakes.told(name), Some(Told::Drain));
    }
    bench.tick().await;
    assert_eq!(bench.fakes.told("here-1"), Some(Told::Drain), "it may be about to take something");
    bench.tells("here-1", true).await;
    bench.queue(1).await;
    let took = bench.take("here-3", 1).await;
    bench.tells("here-3", true).await;
    bench.tick().await;
    assert_eq!(bench.fakes.told("here-1"), Some(Told::End));
    assert_eq!(bench.fakes.told("here-3"), Some(Told::Drain), "it took something as it was told");
    bench.cancel(took).await;
    bench.fakes.dies("here-1");
    bench.tells("here-3", true).await;
    bench.tick().await;
    assert_eq!(bench.fakes.told("here-3"), Some(Told::End));
    bench.cancel(held).await;
    bench.tells("here-2", false).await;
    bench.tick().await;
    assert_eq!(bench.fakes.told("here-2"), Some(Told::Drain), "at the next tick");
}

#[tokio::test]
async fn of_two_who_scale_one_starts_workers_and_the_other_ends_its_own() {
    let mut bench = Bench::new(2).await;
    bench.queue(20).await;
    bench.tick().await;
    assert_eq!(bench.fakes.names().len(), 2);
    let now = bench.now().plus(LEADS_FOR);
    let lead = |at| bench.store.lead(WorkerScaling::LEAD, "there".into(), None, at, LEADS_FOR);
    assert!(!lead(bench.now()).await.unwrap(), "somebody leads");
    assert!(lead(now).await.unwrap(), "nobody has for too long");
    bench.millis.fetch_add(i64::try_from(LEADS_FOR.as_millis()).unwrap(), Ordering::SeqCst);
    bench.scaler.host.as_mut().unwrap().leads_since = None;
    bench.tick().await;
    for name in ["here-1", "here-2"] {
        assert_eq!(bench.fakes.told(name), Some(Told::End));
        bench.fakes.dies(name);
    }
    bench.tick().await;
    assert_eq!(bench.fakes.names(), [""; 0], "it starts nobody while another leads");
}

#[tokio::test]
async fn a_worker_that_ends_at_once_is_not_started_again_and_again() {
    let mut bench = Bench::new(1).await;
    bench.queue(20).await;
    bench.tick().await;
    bench.fakes.dies("here-1");
    bench.tick().await;
    assert_eq!(bench.fakes.names(), [""; 0]);
    bench.scaler.host.as_mut().unwrap().rests.until = None;
    bench.tick().await;
    assert_eq!(bench.fakes.names(), ["here-1"]);
}

#[test]
fn who_holds_a_run_stays_within_what_is_allowed() {
    let wanted = |min, max, fixed, desired, holding| {
        let mut sight = Sight::default();
        (sight.fixed, sight.holding_children) = (fixed, holding);
        bounds(min, max).wanted(&sight, desired)
    };
    assert_eq!(wanted(0, 4, 1, 3, 0), 2);
    assert_eq!(wanted(0, 4, 1, 1, 1), 1, "the one that is there anyway is idle, and cannot go");
    assert_eq!(wanted(1, 4, 5, 2, 0), 1);
    assert_eq!(wanted(0, 2, 0, 9, 9), 2);
}

#[test]
fn rests_grow_and_are_bounded() {
    let mut rests = Rests::default();
    let mut last = Duration::ZERO;
    for _ in 0..20 {
        rests.failed();
        let rest = rests.until.unwrap().duration_since(Instant::now());
        assert!(rest <= REST_MAX && rest + Duration::from_secs(1) > last.min(REST_MAX));
        last = rest;
    }
}
