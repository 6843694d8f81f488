//! The store and the model do the same, whatever is asked of them in whatever order.
//!
//! Repeat a failure with the seed it printed: `SKYLIFT_SEED=…`. `SKYLIFT_SOAK=1` tries many more orders.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use skylift_model::{AppName, DeploymentId, Timestamp};
use skylift_store::{JobKind, Lease, Store, StoreError};

use crate::bench::{self, Bench, failure, rounds};
use crate::model::{Held, LEASE_MS, Model};

const APPS: usize = 3;

/// Something that is asked. Numbers pick from what there is.
#[derive(Clone, Copy, Debug)]
enum Op {
    Deploy(usize),
    LeaseBuild,
    LeaseDeploy,
    /// Ends well what a lease is about, held or long lost.
    Finish(usize),
    Fail(usize),
    RollBack(usize),
    RollBackTo(usize),
    Cancel(usize),
    /// Lets time pass, in milliseconds, and takes back what expired.
    Wait(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let any = 0..64_usize;
    prop_oneof![
        4 => any.clone().prop_map(Op::Deploy),
        5 => Just(Op::LeaseBuild),
        4 => Just(Op::LeaseDeploy),
        8 => any.clone().prop_map(Op::Finish),
        1 => any.clone().prop_map(Op::Fail),
        2 => any.clone().prop_map(Op::RollBack),
        1 => any.clone().prop_map(Op::RollBackTo),
        1 => any.prop_map(Op::Cancel),
        2 => prop_oneof![Just(500_i64), Just(5_000), Just(LEASE_MS + 1)].prop_map(Op::Wait),
    ]
}

/// Both, side by side.
struct Pair<'a> {
    store: &'a Store,
    model: Model,
    now: i64,
    apps: Vec<AppName>,
    ids: Vec<DeploymentId>,
    leases: Vec<(Held, Lease)>,
}

impl Pair<'_> {
    fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    async fn ask(&mut self, op: Op) {
        self.now += 1;
        match op {
            Op::Deploy(n) => self.deploy(n % APPS).await,
            Op::LeaseBuild => self.lease(JobKind::Build).await,
            Op::LeaseDeploy => self.lease(JobKind::Deploy).await,
            Op::Finish(n) => self.finish(n).await,
            Op::Fail(n) => self.fail(n).await,
            Op::RollBack(n) => self.roll_back(n % APPS).await,
            Op::RollBackTo(n) => self.roll_back_to(n).await,
            Op::Cancel(n) => self.cancel(n).await,
            Op::Wait(ms) => self.wait(ms).await,
        }
        self.compare().await;
    }

    async fn deploy(&mut self, app: usize) {
        let id = bench::deploy_bytes_of_nobody(self.store, &self.apps[app], self.time()).await;
        assert_eq!(self.model.deploy(app, self.now), self.ids.len());
        self.ids.push(id);
    }

    async fn lease(&mut self, kind: JobKind) {
        let length = Duration::from_millis(LEASE_MS.unsigned_abs());
        let lease = self.store.lease(kind, self.time(), length).await.unwrap();
        let held = self.model.lease(kind, self.now);
        let told = lease.as_ref().map(|lease| (lease.subject.clone(), lease.fence, lease.attempt));
        assert_eq!(told, held.map(|held| (self.ids[held.deployment].to_string(), held.fence, held.attempt)));
        let (Some(lease), Some(held)) = (lease, held) else { return };
        if kind == JobKind::Build {
            self.store.begin_build(lease.clone(), self.time()).await.unwrap();
            self.model.begin(held);
        }
        self.leases.push((held, lease));
    }

    async fn finish(&mut self, n: usize) {
        let Some((held, lease)) = pick(&self.leases, n).cloned() else { return };
        let (done, expected) = if held.kind == JobKind::Build {
            let artifact = skylift_model::Digest::of(lease.subject.as_bytes());
            (self.store.finish_build(lease, artifact, self.time()).await, self.model.finish(held, self.now))
        } else {
            (self.store.go_live(lease, self.time()).await.map(|_| ()), self.model.go_live(held))
        };
        assert_eq!(unless_fenced(done), expected);
    }

    async fn fail(&mut self, n: usize) {
        let Some((held, lease)) = pick(&self.leases, n).cloned() else { return };
        let done = self.store.fail_deployment(lease, failure(), self.time()).await;
        assert_eq!(unless_fenced(done), self.model.fail(held));
    }

    async fn roll_back(&mut self, app: usize) {
        let done = bench::roll_back(self.store, &self.apps[app], None, self.time()).await;
        let expected = self.model.roll_back(app).map(|deployment| self.ids[deployment].clone());
        assert_eq!(unless_conflict(done), expected);
    }

    async fn roll_back_to(&mut self, n: usize) {
        let Some(id) = pick(&self.ids, n).cloned() else { return };
        let deployment = n % self.ids.len();
        let app = &self.apps[self.model.deployments[deployment].app];
        let done = bench::roll_back(self.store, app, Some(&id), self.time()).await;
        assert_eq!(unless_conflict(done).is_some(), self.model.roll_back_to(deployment));
    }

    async fn cancel(&mut self, n: usize) {
        let Some(id) = pick(&self.ids, n).cloned() else { return };
        let done = bench::cancel(self.store, id, self.time()).await;
        assert_eq!(done, self.model.cancel(n % self.ids.len()));
    }

    async fn wait(&mut self, ms: i64) {
        self.now += ms;
        let dead = self.store.reap(self.time()).await.unwrap();
        let mut dead: Vec<String> = dead.into_iter().map(|job| job.subject).collect();
        for subject in &dead {
            self.store.fail_abandoned(subject.parse().unwrap(), failure(), self.time()).await.unwrap();
        }
        let given_up = self.model.reap(self.now).into_iter().map(|deployment| self.ids[deployment].to_string());
        let mut given_up: Vec<String> = given_up.collect();
        dead.sort();
        given_up.sort();
        assert_eq!(dead, given_up);
    }

    /// Whatever can be seen of one is what can be seen of the other.
    async fn compare(&self) {
        let rows = self.store.deployments(None, 1000).await.unwrap();
        for (id, deployment) in self.ids.iter().zip(&self.model.deployments) {
            let row = rows.iter().find(|row| row.id == *id).unwrap();
            assert_eq!((row.state, &row.app), (deployment.state, &self.apps[deployment.app]), "{id}");
        }
        for (place, name) in self.apps.iter().enumerate() {
            let row = self.store.app(name.clone()).await.unwrap();
            let live = self.model.live(place).map(|deployment| self.ids[deployment].clone());
            assert_eq!((row.live, row.generation), (live, self.model.apps[place].generation), "{name}");
        }
        for counts in self.store.job_counts().await.unwrap() {
            assert_eq!([counts.ready, counts.leased, counts.dead], self.model.counts(counts.kind), "{:?}", counts.kind);
        }
    }
}

fn pick<T>(all: &[T], n: usize) -> Option<&T> {
    all.get(n % all.len().max(1))
}

fn unless_fenced(done: Result<(), StoreError>) -> bool {
    assert!(matches!(done, Ok(()) | Err(StoreError::Fenced)), "{done:?}");
    done.is_ok()
}

fn unless_conflict<T: std::fmt::Debug>(done: Result<T, StoreError>) -> Option<T> {
    assert!(matches!(done, Ok(_) | Err(StoreError::Conflict(_))), "{done:?}");
    done.ok()
}

/// One order of things, on apps of its own that are gone afterwards.
async fn run(store: &Store, ops: Vec<Op>) {
    for app in store.apps().await.unwrap() {
        bench::delete_app(store, app.name).await;
    }
    let apps: Vec<AppName> = (0..APPS).map(|n| format!("app-{n}").parse().unwrap()).collect();
    for app in &apps {
        bench::create_app(store, app, Timestamp::from_millis(0)).await;
    }
    let model = Model::new(APPS);
    let mut pair = Pair { store, model, now: 1_000_000, apps, ids: Vec::new(), leases: Vec::new() };
    for op in ops {
        pair.ask(op).await;
    }
}

#[expect(clippy::print_stderr, reason = "the seed repeats a failure")]
fn agree(store: &Store, runtime: &tokio::runtime::Runtime) {
    let seed = std::env::var("SKYLIFT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
    eprintln!("SKYLIFT_SEED={seed}");
    let config = Config {
        cases: rounds(12, 1000),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let orders = proptest::collection::vec(op(), 1..60);
    let agreed = TestRunner::new(config).run(&orders, |ops| {
        runtime.block_on(run(store, ops));
        Ok(())
    });
    agreed.unwrap();
}

#[test]
fn sqlite_does_what_the_model_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bench = runtime.block_on(Bench::sqlite());
    agree(&bench.store, &runtime);
}

#[test]
fn postgres_does_what_the_model_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(bench) = runtime.block_on(Bench::postgres()) else { return };
    agree(&bench.store, &runtime);
}
