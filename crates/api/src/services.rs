//! What handlers work with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use skylift_blob::Blobs;
use skylift_bus::{Applied, Bus, Message, Served};
use skylift_model::net::OutRule;
use skylift_model::wire::{CleanedUp, SandboxStatus};
use skylift_model::{AppName, Clock, DeploymentId, InstanceState, Timestamp};
use skylift_queue::{Queue, Waiting};
use skylift_store::seal::MasterKey;
use skylift_store::{DeploymentRow, InstanceRow, Store, StoreError, TenantServer};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::allowance::UnderWay;
use crate::attached::Attached;
use crate::error::ApiError;
use crate::intake::Intake;
use crate::judge0::Judge0Settings;
use crate::runs::Runs;

/// How long an answer waits for instances to take over from those of another deployment.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(90);
/// How long the first new instance may wait for room before it is looked whether there will be any.
const ROOM_WITHIN: Duration = Duration::from_secs(3);
/// How often they are looked at without a wake-up.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Everything the API is made of.
pub struct Services {
    pub store: Store,
    pub blobs: Blobs,
    pub bus: Bus,
    pub applied: Applied,
    pub clock: Clock,
    /// Seals what must not be readable in the database.
    pub key: MasterKey,
    /// Where databases of apps are made, where the owner has such a server.
    pub tenants: Option<TenantServer>,
    pub urls: Urls,
    pub limits: Limits,
    /// Runs code that is sent: this process, or others.
    pub runs: Arc<dyn Runs>,
    /// Runs that outlive their request.
    pub queue: Queue,
    /// Those who wait for them.
    pub waiting: Waiting,
    /// Says why a run's end would never be told to an address.
    pub may_be_told: MayBeTold,
    /// How the interface of Judge0 is answered.
    pub judge0: Judge0Settings,
    /// Takes in code.
    pub intake: Arc<dyn Intake>,
    /// Says why a rule for an app's network could never allow anything.
    pub never: Never,
    /// How many runs each key has under way.
    pub under_way: UnderWay,
    /// Which commands are followed by the client that asked for them.
    pub attached: Attached,
    /// How long such a command goes on where its client has gone.
    pub run_alone: Duration,
    /// Cleans up once.
    pub clean_up: CleanUp,
    /// How many bytes our blobs may take.
    pub bytes_budget: u64,
    /// The data folder, whose disk is watched.
    pub data_dir: PathBuf,
    /// What isolation this machine gives.
    pub sandbox: SandboxStatus,
    /// When the process started.
    pub started: Timestamp,
    /// Set once the process is told to stop: what would go on for long ends then, for its client to ask again.
    pub stopping: watch::Receiver<bool>,
    /// Numbers from the other parts of the process, for `/metrics`.
    pub metrics: Metrics,
    /// What the other parts have to tell to who looks after the platform, for `/readyz`.
    pub remark: Remark,
}

impl Services {
    /// Waits until every edge serves a deployment that is live, and, where it runs, nothing else answers for its app any
    /// more: who was told that it is live gets nothing older.
    pub(crate) async fn wait_until_served(&self, live: &DeploymentRow) -> Result<(), StoreError> {
        if live.runs {
            let mut messages = self.bus.subscribe();
            let changed = |message: &Message| *message == Message::InstancesChanged(live.app.clone());
            let taken_over = async {
                while self.is_answered_by_others(live).await? {
                    let _ = timeout(LOOK_EVERY, messages.wait_for(changed)).await;
                }
                Ok::<_, StoreError>(())
            };
            match timeout(TAKE_OVER_WITHIN, taken_over).await {
                Ok(done) => done?,
                Err(_) => {
                    tracing::warn!(app = live.app.as_str(), "live, but instances of another deployment still answer")
                }
            }
        }
        let generation = self.store.app(live.app.clone()).await?.generation;
        self.wait_for_edges(&live.app, generation).await;
        Ok(())
    }

    /// Waits until no instance from before a restart takes requests any more, for as long as a take-over may last.
    pub(crate) async fn wait_until_restarted(&self, app: &AppName, at: Timestamp) -> Result<(), StoreError> {
        let mut messages = self.bus.subscribe();
        let changed = |message: &Message| *message == Message::InstancesChanged(app.clone());
        let is_old = |one: &InstanceRow| one.is_web() && one.state == InstanceState::Ready && one.created_at < at;
        let has_begun = |one: &InstanceRow| one.is_web() && one.created_at >= at && one.state != InstanceState::Ended;
        let replaced = async {
            let began = Instant::now();
            loop {
                let rows = self.store.instances(app.clone()).await?;
                let waits = !rows.iter().any(has_begun) && began.elapsed() > ROOM_WITHIN;
                if !rows.iter().any(is_old) || waits && self.is_without_room(app).await? {
                    return Ok::<_, StoreError>(());
                }
                let _ = timeout(LOOK_EVERY, messages.wait_for(changed)).await;
            }
        };
        match timeout(TAKE_OVER_WITHIN, replaced).await {
            Ok(done) => done?,
            Err(_) => tracing::warn!(app = app.as_str(), "instances from before a restart still answer"),
        }
        let generation = self.store.app(app.clone()).await?.generation;
        self.wait_for_edges(app, generation).await;
        Ok(())
    }

    /// Whether an app's next instance finds no room, and none is about to be made.
    async fn is_without_room(&self, app: &AppName) -> Result<bool, StoreError> {
        let missing = self.store.unstarted(app.clone(), self.clock.now()).await?;
        Ok(missing.is_some_and(|missing| !missing.is_passing))
    }

    /// Tells that an app's instances from before `at` are to be replaced, and waits until none of them takes requests and, where there
    /// is to be one, another does. Where the old one has to end first, nothing answers in between.
    pub(crate) async fn replace_instances(&self, app: AppName, at: Timestamp) -> Result<(), StoreError> {
        self.bus.publish(Message::InstancesChanged(app.clone()));
        self.wait_until_restarted(&app, at).await?;
        let row = self.store.app(app.clone()).await?;
        let Some(live) = row.live.filter(|_| row.instances > 0 && !row.stopped) else { return Ok(()) };
        if !self.store.deployment(live).await?.runs {
            return Ok(());
        }
        let mut messages = self.bus.subscribe();
        let changed = |message: &Message| *message == Message::InstancesChanged(app.clone());
        // One that ended is an answer, too: whoever asked looks why.
        let is_new = |one: &InstanceRow| {
            one.is_web() && one.created_at >= at && matches!(one.state, InstanceState::Ready | InstanceState::Ended)
        };
        let replaced = async {
            while !self.store.instances(app.clone()).await?.iter().any(is_new) {
                let _ = timeout(LOOK_EVERY, messages.wait_for(changed)).await;
            }
            Ok::<_, StoreError>(())
        };
        timeout(TAKE_OVER_WITHIN, replaced).await.unwrap_or(Ok(()))
    }

    async fn is_answered_by_others(&self, live: &DeploymentRow) -> Result<bool, StoreError> {
        // Another one may be live by now.
        if self.store.app(live.app.clone()).await?.live.as_ref() != Some(&live.id) {
            return Ok(false);
        }
        let instances = self.store.instances(live.app.clone()).await?;
        Ok(instances.iter().any(|one| one.is_web() && one.state == InstanceState::Ready && one.deployment != live.id))
    }

    /// Waits until every edge serves an app's routes at `generation`. One that is too late does not hold up the answer for
    /// ever; it is told in the log.
    pub(crate) async fn wait_for_edges(&self, app: &AppName, generation: u64) {
        if self.applied.wait(app, generation, crate::routes::EDGE_WAIT).await == Served::NotEverywhere {
            tracing::warn!(app = app.as_str(), generation, "not every edge was heard to serve an app's routes in time");
        }
    }
}

/// `Err` with the reason, in words, where nothing may be told to an address.
pub type MayBeTold = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Runs one clean-up.
pub type CleanUp = Arc<dyn Fn() -> BoxFuture<'static, Result<CleanedUp, ApiError>> + Send + Sync>;

/// Why a rule allows nothing, and what would, in words; `None` where it may.
pub type Never = Arc<dyn Fn(&OutRule) -> Option<(String, String)> + Send + Sync>;

/// Writes Prometheus text.
pub type Metrics = Arc<dyn Fn(&mut String) + Send + Sync>;

/// Says what is not as it should be in a process that does its work, in a few words that anybody may read; else `None`.
pub type Remark = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// How much a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all files of one source.
    pub source_bytes_max: u64,
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// Bytes of an archive as sent.
    pub archive_bytes_max: u64,
    /// Bytes of the disk that uploads, builds and runs that are kept must leave free.
    pub disk_reserve_bytes: u64,
}

/// Where things answer.
#[derive(Clone, Debug)]
pub struct Urls {
    /// `http` or `https`.
    pub scheme: String,
    /// The bare domain.
    pub domain: String,
    /// The port, unless it is the scheme's own.
    pub port: Option<u16>,
}

impl Urls {
    /// The platform's own address.
    pub fn platform(&self) -> String {
        self.with_host(&self.domain)
    }

    /// Where what is live of an app answers.
    pub fn app(&self, app: &AppName) -> String {
        self.with_host(&format!("{app}.{}", self.domain))
    }

    /// Where one deployment answers.
    pub fn deployment(&self, id: &DeploymentId) -> String {
        self.with_host(&format!("{id}.{}", self.domain))
    }

    fn with_host(&self, host: &str) -> String {
        match self.port {
            Some(port) => format!("{}://{host}:{port}", self.scheme),
            None => format!("{}://{host}", self.scheme),
        }
    }
}
