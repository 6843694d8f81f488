//! What every store must do, on a real database file.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::time::Duration;

use skylift_model::source::Source;
use skylift_model::wire::{Failure, LogLine, Stream};
use skylift_model::{
    AppName, DeploymentId, DeploymentState, Digest, FileEntry, FileMode, Manifest, Timestamp, TokenId,
};
use skylift_store::{
    Accepted, Answer, Conflict, Done, Idempotency, JobKind, Lease, NewDeployment, Once, SentBytes, Store, StoreError,
};

const LEASE: Duration = Duration::from_secs(30);

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    now: Timestamp,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("skylift.db")).unwrap();
        let now = Timestamp::from_millis(1_000_000);
        store.create_app(app(), Once::default(), now).await.unwrap();
        Self { folder, store, now }
    }

    fn tick(&mut self) -> Timestamp {
        self.now = self.now.plus(Duration::from_millis(1));
        self.now
    }

    async fn deploy(&mut self) -> DeploymentId {
        let now = self.tick();
        let done = self.store.create_deployment(archive(), Once::default(), now).await.unwrap();
        done.made().unwrap().deployment.id
    }

    async fn lease(&mut self, kind: JobKind) -> Option<Lease> {
        let now = self.tick();
        self.store.lease(kind, now, LEASE).await.unwrap()
    }

    async fn build(&mut self) -> DeploymentId {
        let lease = self.lease(JobKind::Build).await.unwrap();
        let now = self.tick();
        let input = self.store.begin_build(lease.clone(), now).await.unwrap();
        let artifact = Digest::of(input.deployment.id.as_str().as_bytes());
        self.store.finish_build(lease, artifact, now).await.unwrap();
        input.deployment.id
    }

    async fn deploy_and_go_live(&mut self) -> DeploymentId {
        let id = self.deploy().await;
        self.build().await;
        let lease = self.lease(JobKind::Deploy).await.unwrap();
        let now = self.tick();
        self.store.go_live(lease, now).await.unwrap();
        id
    }

    async fn state(&self, id: &DeploymentId) -> DeploymentState {
        self.store.deployment(id.clone()).await.unwrap().state
    }

    /// A line of the build's own.
    async fn print(&self, id: &DeploymentId, text: &str) {
        let line =
            LogLine { seq: 0, at: self.now, step: "build".into(), stream: Stream::Stdout, text: text.to_owned() };
        self.store.append_log(id.clone(), vec![line]).await.unwrap();
    }

    async fn log(&self, id: &DeploymentId) -> Vec<String> {
        self.store.log_lines(id.clone(), 0, 100).await.unwrap().into_iter().map(|line| line.text).collect()
    }

    async fn live(&self) -> Option<DeploymentId> {
        self.store.app(app()).await.unwrap().live
    }

    async fn set_env(&self, from: u64, sealed: &[u8]) -> Result<u64, StoreError> {
        let done = self.store.set_env(app(), from, sealed.to_vec(), Once::default(), self.now).await?;
        Ok(done.made().unwrap())
    }

    async fn roll_back(&mut self, target: Option<&DeploymentId>) -> Result<DeploymentId, StoreError> {
        let now = self.tick();
        let done = self.store.roll_back(app(), target.cloned(), Once::default(), now).await?;
        Ok(done.made().unwrap().deployment.id)
    }
}

fn app() -> AppName {
    "shop".parse().unwrap()
}

fn manifest(contents: &[&str]) -> Manifest {
    let entry = |text: &&str| FileEntry {
        path: format!("{text}.html").parse().unwrap(),
        sha256: Digest::of(text.as_bytes()),
        size: text.len() as u64,
        mode: FileMode::File,
    };
    Manifest::new(contents.iter().map(entry).collect()).unwrap()
}

fn archive() -> NewDeployment {
    let bytes = SentBytes::Archive(Digest::of(b"manifest"), manifest(&["a"]));
    NewDeployment { app: app(), source: Source::Archive, dir: None, bytes, secret: None }
}

fn failure() -> Failure {
    Failure { step: "build".into(), message: "exit 1".into(), exit_code: Some(1), hint: None }
}

fn key(name: &str, request: &[u8]) -> Idempotency {
    let token = TokenId::new(Timestamp::from_millis(0), 0);
    Idempotency { token, key: name.to_owned(), request: Digest::of(request) }
}

/// A deployment that happens once for its key; the answer is its id.
fn once(name: &str, request: &[u8]) -> Once<Accepted> {
    Once::new(Some(key(name, request)), |accepted: &Accepted| Answer {
        status: 202,
        body: accepted.deployment.id.to_string().into_bytes(),
    })
}

#[tokio::test]
async fn an_upload_asks_only_for_what_this_app_never_sent() {
    let bench = Bench::new().await;
    let other: AppName = "other".parse().unwrap();
    bench.store.create_app(other.clone(), Once::default(), bench.now).await.unwrap();
    let open = async |app: AppName, contents: &'static [&'static str]| {
        let opening = bench.store.open_upload(app, Digest::of(b"m"), manifest(contents), Once::default(), bench.now);
        opening.await.unwrap().made().unwrap()
    };
    let first = open(app(), &["a", "b"]).await;
    assert_eq!(first.missing.len(), 2);
    bench.store.blobs_received(first.id.clone(), first.missing.clone(), Once::default(), bench.now).await.unwrap();
    assert_eq!(open(app(), &["a", "b", "c"]).await.missing, [Digest::of(b"c")]);
    assert_eq!(open(other, &["a"]).await.missing.len(), 1, "what one app sent tells another nothing");
}

#[tokio::test]
async fn a_deployment_of_an_incomplete_or_foreign_upload_is_refused() {
    let bench = Bench::new().await;
    let opening = bench.store.open_upload(app(), Digest::of(b"m"), manifest(&["a"]), Once::default(), bench.now);
    let upload = opening.await.unwrap().made().unwrap();
    let new = |app: &str| NewDeployment {
        app: app.parse().unwrap(),
        bytes: SentBytes::Upload(upload.id.clone()),
        ..archive()
    };
    let refused = bench.store.create_deployment(new("shop"), Once::default(), bench.now).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("upload `{}` still waits for 1 blob", upload.id));
    let arrived = vec![Digest::of(b"a")];
    bench.store.blobs_received(upload.id.clone(), arrived, Once::default(), bench.now).await.unwrap();
    bench.store.create_app("other".parse().unwrap(), Once::default(), bench.now).await.unwrap();
    let foreign = bench.store.create_deployment(new("other"), Once::default(), bench.now).await;
    assert!(matches!(foreign, Err(StoreError::NotFound(_))));
    bench.store.create_deployment(new("shop"), Once::default(), bench.now).await.unwrap();
}

#[tokio::test]
async fn a_newer_deploy_supersedes_what_waits_but_not_what_is_being_built() {
    let mut bench = Bench::new().await;
    let building = bench.deploy().await;
    let lease = bench.lease(JobKind::Build).await.unwrap();
    bench.store.begin_build(lease.clone(), bench.now).await.unwrap();
    let waiting = bench.deploy().await;
    let newest = bench.deploy().await;
    let why = format!("superseded by {newest}, a newer deployment of shop, before its build began");
    assert_eq!(bench.log(&waiting).await, [why]);
    assert_eq!(bench.state(&building).await, DeploymentState::Building);
    assert_eq!(bench.state(&waiting).await, DeploymentState::Superseded);
    assert!(bench.lease(JobKind::Build).await.is_none(), "builds of one app run one after the other");
    bench.store.finish_build(lease, Digest::of(b"x"), bench.now).await.unwrap();
    assert!(bench.lease(JobKind::Build).await.is_none(), "the deploy that waits goes first");
    let deploy = bench.lease(JobKind::Deploy).await.unwrap();
    bench.store.go_live(deploy, bench.now).await.unwrap();
    assert_eq!(bench.build().await, newest);
}

#[tokio::test]
async fn repeated_rollbacks_go_further_back_and_an_explicit_one_goes_anywhere() {
    let mut bench = Bench::new().await;
    let a = bench.deploy_and_go_live().await;
    let b = bench.deploy_and_go_live().await;
    let c = bench.deploy_and_go_live().await;
    assert_eq!(bench.roll_back(None).await.unwrap(), b);
    assert_eq!(bench.roll_back(None).await.unwrap(), a);
    let end = bench.roll_back(None).await.unwrap_err();
    assert_eq!(end.to_string(), "app `shop` has nothing to roll back to");
    assert_eq!(bench.roll_back(Some(&c)).await.unwrap(), c);
    assert_eq!(bench.live().await, Some(c.clone()));
    assert_eq!(bench.roll_back(None).await.unwrap(), a, "what was live before the explicit one");
    assert_eq!(bench.state(&c).await, DeploymentState::Previous);
    let routes = bench.store.app_routes(app()).await.unwrap().unwrap();
    assert_eq!((routes.live, routes.generation, routes.deployments.len()), (Some(a), 7, 3));
}

#[tokio::test]
async fn a_rollback_brings_its_environment_back() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.set_env(0, b"one").await.unwrap(), 1);
    bench.deploy_and_go_live().await;
    assert_eq!(bench.set_env(1, b"two").await.unwrap(), 2);
    bench.deploy_and_go_live().await;
    bench.roll_back(None).await.unwrap();
    let env = bench.store.env(app()).await.unwrap();
    assert_eq!((env.version, env.sealed.as_deref()), (1, Some(b"one".as_slice())));
    assert!(bench.set_env(2, b"stale").await.is_err());
    assert_eq!(bench.set_env(1, b"three").await.unwrap(), 3, "versions are never reused");
}

#[tokio::test]
async fn a_lost_lease_commits_nothing() {
    let mut bench = Bench::new().await;
    let id = bench.deploy().await;
    let slow = bench.lease(JobKind::Build).await.unwrap();
    bench.store.begin_build(slow.clone(), bench.now).await.unwrap();
    bench.now = bench.now.plus(LEASE * 2);
    assert!(bench.store.reap(bench.now).await.unwrap().is_empty());
    bench.now = bench.now.plus(Duration::from_secs(10));
    let quick = bench.lease(JobKind::Build).await.unwrap();
    assert_eq!((quick.fence, quick.attempt), (slow.fence + 1, 2));
    let now = bench.tick();
    let late = bench.store.finish_build(slow.clone(), Digest::of(b"late"), now).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    assert!(matches!(bench.store.renew(slow, now, LEASE).await, Err(StoreError::Fenced)));
    bench.store.finish_build(quick, Digest::of(b"good"), now).await.unwrap();
    assert_eq!(bench.store.deployment(id).await.unwrap().artifact, Some(Digest::of(b"good")));
}

#[tokio::test]
async fn a_job_that_keeps_dying_is_given_up_and_can_be_replayed() {
    let mut bench = Bench::new().await;
    let id = bench.deploy().await;
    for attempt in 1..=3 {
        bench.now = bench.now.plus(Duration::from_secs(60));
        let lease = bench.lease(JobKind::Build).await.unwrap();
        bench.store.begin_build(lease, bench.now).await.unwrap();
        bench.print(&id, "working").await;
        let dead = bench.store.reap_all(bench.now).await.unwrap();
        assert_eq!(dead.len(), usize::from(attempt == 3));
    }
    bench.store.fail_abandoned(id.clone(), failure(), bench.now).await.unwrap();
    assert_eq!(bench.state(&id).await, DeploymentState::Failed);
    bench.print(&id, "a last word of a process that is being killed").await;
    let lost = |attempt| format!("attempt {attempt} of 3: the builder was lost");
    let (second, third) = (lost(2), lost(3));
    let expected = ["working", &second, "working", &third, "working", "failed: exit 1"];
    assert_eq!(bench.log(&id).await, expected);
    let dead = bench.store.jobs(Some("dead".into())).await.unwrap();
    bench.store.replay(dead[0].id.clone(), Once::default(), bench.now).await.unwrap();
    assert_eq!(bench.build().await, id);
    assert_eq!(bench.state(&id).await, DeploymentState::Deploying);
}

#[tokio::test]
async fn cancelling_ends_once_and_frees_the_queue() {
    let mut bench = Bench::new().await;
    let id = bench.deploy().await;
    let lease = bench.lease(JobKind::Build).await.unwrap();
    bench.store.begin_build(lease.clone(), bench.now).await.unwrap();
    let now = bench.tick();
    bench.print(&id, "one").await;
    bench.store.cancel_deployment(id.clone(), Once::default(), now).await.unwrap();
    let again = bench.store.cancel_deployment(id.clone(), Once::default(), now).await.unwrap_err();
    let settled = Conflict::Settled { deployment: id.clone(), state: DeploymentState::Cancelled };
    assert!(matches!(again, StoreError::Conflict(why) if why == settled));
    bench.print(&id, "two").await;
    assert_eq!(bench.log(&id).await, ["one", "cancelled by the owner"]);
    let late = bench.store.finish_build(lease, Digest::of(b"x"), now).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    let next = bench.deploy_and_go_live().await;
    assert_eq!(bench.live().await, Some(next));
}

#[tokio::test]
async fn a_failed_build_leaves_what_is_live() {
    let mut bench = Bench::new().await;
    let good = bench.deploy_and_go_live().await;
    let bad = bench.deploy().await;
    let lease = bench.lease(JobKind::Build).await.unwrap();
    bench.store.begin_build(lease.clone(), bench.now).await.unwrap();
    bench.store.fail_deployment(lease, failure(), bench.now).await.unwrap();
    assert_eq!(bench.live().await, Some(good));
    let row = bench.store.deployment(bad).await.unwrap();
    assert_eq!((row.state, row.failure), (DeploymentState::Failed, Some(failure())));
}

#[tokio::test]
async fn one_key_makes_one_deployment_however_many_ask_at_once() {
    let bench = Bench::new().await;
    let asks = (0..50).map(|_| {
        let (store, now) = (bench.store.clone(), bench.now);
        tokio::spawn(async move { store.create_deployment(archive(), once("k", b"same"), now).await.unwrap() })
    });
    let (mut made, mut answers) = (0, Vec::new());
    for ask in asks.collect::<Vec<_>>() {
        match ask.await.unwrap() {
            Done::Now(_, answer) => {
                made += 1;
                answers.push(answer);
            }
            Done::Before(answer) => answers.push(answer),
        }
    }
    answers.dedup();
    assert_eq!((made, answers.len()), (1, 1));
    let other = bench.store.create_deployment(archive(), once("k", b"other"), bench.now).await;
    assert!(matches!(other, Err(StoreError::IdempotencyMismatch)));
    assert_eq!(bench.store.deployments(Some(app()), 10).await.unwrap().len(), 1);
    // Without keys, each is one of its own.
    bench.store.create_deployment(archive(), Once::default(), bench.now).await.unwrap();
    assert_eq!(bench.store.deployments(Some(app()), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_change_that_fails_leaves_its_key_unused() {
    let bench = Bench::new().await;
    let upload = SentBytes::Upload("u-000000000zzzzzzz".parse().unwrap());
    let refused = NewDeployment { bytes: upload, ..archive() };
    assert!(bench.store.create_deployment(refused, once("k", b"same"), bench.now).await.is_err());
    let (token, key) = (key("k", b"").token, "k".to_owned());
    assert_eq!(bench.store.answered(token, key).await.unwrap(), None);
    let done = bench.store.create_deployment(archive(), once("k", b"same"), bench.now).await.unwrap();
    assert!(done.made().is_some());
}

#[tokio::test]
async fn an_answer_is_there_after_reopening_and_stays_the_first() {
    let bench = Bench::new().await;
    let Done::Now(_, answer) = bench.store.create_deployment(archive(), once("k", b"same"), bench.now).await.unwrap()
    else {
        panic!("nothing used the key before");
    };
    let other = Answer { status: 404, body: b"{}".to_vec() };
    bench.store.remember(key("k", b"same"), other.clone(), bench.now).await.unwrap();
    bench.store.remember(key("unused", b"same"), other.clone(), bench.now).await.unwrap();
    let reopened = Store::open(&bench.folder.path().join("skylift.db")).unwrap();
    let found = async |name: &str| {
        let (_, answer) = reopened.answered(key(name, b"").token, name.to_owned()).await.unwrap().unwrap();
        answer
    };
    assert_eq!((found("k").await, found("unused").await), (answer, other));
}

#[tokio::test]
async fn clean_up_keeps_the_newest_that_were_live_and_what_is_live() {
    let mut bench = Bench::new().await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(bench.deploy_and_go_live().await);
    }
    bench.roll_back(Some(&ids[0])).await.unwrap();
    assert!(bench.store.expired_deployments(3).await.unwrap().is_empty(), "nothing is in Git yet");
    assert!(!bench.store.forget_deployment(ids[1].clone()).await.unwrap());
    for (upload, ..) in bench.store.uncommitted_uploads(app()).await.unwrap() {
        bench.store.set_git_commit(upload, "c0ffee".to_owned()).await.unwrap();
    }
    let expired = bench.store.expired_deployments(3).await.unwrap();
    let expired: Vec<_> = expired.into_iter().map(|expired| expired.deployment).collect();
    assert_eq!(expired, [ids[2].clone(), ids[1].clone()], "the longest not live go, the live one never");
    for id in &ids {
        let gone = bench.store.forget_deployment(id.clone()).await.unwrap();
        assert_eq!(gone, *id != ids[0]);
    }
    assert!(bench.roll_back(None).await.is_err());
}

#[tokio::test]
async fn blobs_are_released_only_if_nothing_new_was_named() {
    let bench = Bench::new().await;
    let seen = bench.store.references().await.unwrap();
    let opening = bench.store.open_upload(app(), Digest::of(b"new"), manifest(&["a"]), Once::default(), bench.now);
    opening.await.unwrap();
    assert!(bench.store.release_blobs(vec![Digest::of(b"a")], seen).await.unwrap().is_none());
    let seen = bench.store.references().await.unwrap();
    assert!(bench.store.release_blobs(vec![Digest::of(b"a")], seen).await.unwrap().is_some());
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let mut bench = Bench::new().await;
    let id = bench.deploy_and_go_live().await;
    let path = bench.folder.path().join("skylift.db");
    let reopened = Store::open(&path).unwrap();
    assert_eq!(reopened.app(app()).await.unwrap().live, Some(id.clone()));
    let events = reopened.events(id, 0).await.unwrap();
    let states: Vec<_> = events.iter().map(|event| event.state.as_str()).collect();
    assert_eq!(states, ["queued", "building", "deploying", "live"]);
}
