//! A store to try, on either database, and what is put into it.

use std::time::Duration;

use skylift_model::source::Source;
use skylift_model::wire::{Failure, LogLine, Stream};
use skylift_model::{
    AppName, DeploymentId, DeploymentState, Digest, FileEntry, FileMode, Manifest, Timestamp, TokenId,
};
use skylift_peers::Postgres;
use skylift_store::{Accepted, Answer, Idempotency, JobKind, Lease, NewDeployment, Once, SentBytes, Store, StoreError};

pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// A store with one app, and a clock that stands until it is moved.
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) now: Timestamp,
    pub(crate) home: Home,
}

/// Where the rows are.
pub(crate) enum Home {
    Sqlite(tempfile::TempDir),
    Postgres(Postgres),
}

impl Home {
    /// One more store on the same rows.
    pub(crate) async fn open(&self) -> Store {
        match self {
            Self::Sqlite(folder) => Store::open(&folder.path().join("skylift.db")).unwrap(),
            Self::Postgres(server) => Store::connect(&server.url()).await.unwrap(),
        }
    }
}

impl Bench {
    pub(crate) async fn sqlite() -> Self {
        Self::at(Home::Sqlite(tempfile::tempdir().unwrap())).await
    }

    /// `None` where there is no PostgreSQL.
    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self::at(Home::Postgres(Postgres::start()?)).await)
    }

    pub(crate) async fn at(home: Home) -> Self {
        let store = home.open().await;
        let now = Timestamp::from_millis(1_000_000);
        store.create_app(app(), Once::default(), now).await.unwrap();
        Self { store, now, home }
    }

    pub(crate) fn tick(&mut self) -> Timestamp {
        self.now = self.now.plus(Duration::from_millis(1));
        self.now
    }

    pub(crate) async fn deploy(&mut self) -> DeploymentId {
        let now = self.tick();
        let done = self.store.create_deployment(archive(), Once::default(), now).await.unwrap();
        done.made().unwrap().deployment.id
    }

    pub(crate) async fn lease(&mut self, kind: JobKind) -> Option<Lease> {
        let now = self.tick();
        self.store.lease(kind, now, LEASE).await.unwrap()
    }

    pub(crate) async fn build(&mut self) -> DeploymentId {
        let lease = self.lease(JobKind::Build).await.unwrap();
        let now = self.tick();
        let input = self.store.begin_build(lease.clone(), now).await.unwrap();
        let artifact = Digest::of(input.deployment.id.as_str().as_bytes());
        self.store.finish_build(lease, artifact, now).await.unwrap();
        input.deployment.id
    }

    pub(crate) async fn deploy_and_go_live(&mut self) -> DeploymentId {
        let id = self.deploy().await;
        self.build().await;
        let lease = self.lease(JobKind::Deploy).await.unwrap();
        let now = self.tick();
        self.store.go_live(lease, now).await.unwrap();
        id
    }

    pub(crate) async fn state(&self, id: &DeploymentId) -> DeploymentState {
        self.store.deployment(id.clone()).await.unwrap().state
    }

    /// A line of the build's own.
    pub(crate) async fn print(&self, id: &DeploymentId, text: &str) {
        let line =
            LogLine { seq: 0, at: self.now, step: "build".into(), stream: Stream::Stdout, text: text.to_owned() };
        self.store.append_log(id.clone(), vec![line]).await.unwrap();
    }

    pub(crate) async fn log(&self, id: &DeploymentId) -> Vec<String> {
        self.store.log_lines(id.clone(), 0, 100).await.unwrap().into_iter().map(|line| line.text).collect()
    }

    pub(crate) async fn live(&self) -> Option<DeploymentId> {
        self.store.app(app()).await.unwrap().live
    }

    pub(crate) async fn set_env(&self, from: u64, sealed: &[u8]) -> Result<u64, StoreError> {
        let done = self.store.set_env(app(), from, sealed.to_vec(), Once::default(), self.now).await?;
        Ok(done.made().unwrap())
    }

    pub(crate) async fn roll_back(&mut self, target: Option<&DeploymentId>) -> Result<DeploymentId, StoreError> {
        let now = self.tick();
        let done = self.store.roll_back(app(), target.cloned(), Once::default(), now).await?;
        Ok(done.made().unwrap().deployment.id)
    }
}

pub(crate) fn app() -> AppName {
    "shop".parse().unwrap()
}

pub(crate) fn manifest(contents: &[&str]) -> Manifest {
    let entry = |text: &&str| FileEntry {
        path: format!("{text}.html").parse().unwrap(),
        sha256: Digest::of(text.as_bytes()),
        size: text.len() as u64,
        mode: FileMode::File,
    };
    Manifest::new(contents.iter().map(entry).collect()).unwrap()
}

pub(crate) fn archive() -> NewDeployment {
    let bytes = SentBytes::Archive(Digest::of(b"manifest"), manifest(&["a"]));
    NewDeployment { app: app(), source: Source::Archive, dir: None, bytes, secret: None }
}

pub(crate) fn failure() -> Failure {
    Failure { step: "build".into(), message: "exit 1".into(), exit_code: Some(1), hint: None }
}

pub(crate) fn key(name: &str, request: &[u8]) -> Idempotency {
    let token = TokenId::new(Timestamp::from_millis(0), 0);
    Idempotency { token, key: name.to_owned(), request: Digest::of(request) }
}

/// A deployment that happens once for its key; the answer is its id.
pub(crate) fn once(name: &str, request: &[u8]) -> Once<Accepted> {
    Once::new(Some(key(name, request)), |accepted: &Accepted| Answer {
        status: 202,
        body: accepted.deployment.id.to_string().into_bytes(),
    })
}

/// Makes an app; `false` where there is one of that name.
pub(crate) async fn create_app(store: &Store, name: &AppName, now: Timestamp) -> bool {
    match store.create_app(name.clone(), Once::default(), now).await {
        Ok(_) => true,
        Err(StoreError::Conflict(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}

pub(crate) async fn delete_app(store: &Store, name: AppName) {
    store.delete_app(name, skylift_store::WithData::No, Once::default(), Timestamp::from_millis(0)).await.unwrap();
}

/// Accepts a deployment whose bytes come later, so that nothing but its build is queued.
pub(crate) async fn deploy_bytes_of_nobody(store: &Store, app: &AppName, now: Timestamp) -> DeploymentId {
    let new = NewDeployment { app: app.clone(), bytes: SentBytes::None, ..archive() };
    store.create_deployment(new, Once::default(), now).await.unwrap().made().unwrap().deployment.id
}

pub(crate) async fn roll_back(
    store: &Store,
    app: &AppName,
    target: Option<&DeploymentId>,
    now: Timestamp,
) -> Result<DeploymentId, StoreError> {
    let done = store.roll_back(app.clone(), target.cloned(), Once::default(), now).await?;
    Ok(done.made().unwrap().deployment.id)
}

/// Cancels a deployment; `false` where it had ended before.
pub(crate) async fn cancel(store: &Store, id: DeploymentId, now: Timestamp) -> bool {
    match store.cancel_deployment(id, Once::default(), now).await {
        Ok(_) => true,
        Err(StoreError::Conflict(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// How often to repeat something: `few` times in the ordinary run, `many` with `SKYLIFT_SOAK=1`.
pub(crate) fn rounds(few: u32, many: u32) -> u32 {
    if std::env::var_os("SKYLIFT_SOAK").is_some_and(|soak| soak == "1") { many } else { few }
}
