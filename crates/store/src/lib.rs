//! The truth: apps, uploads, deployments, jobs, environments, tokens. The only SQL of the project, on SQLite or PostgreSQL.
//!
//! Writes go through one thread that commits many requests at once and answers each after the commit is on disk.
//! A state change and the job that follows from it are one transaction.

mod ai_usage;
mod app_databases;
mod apps;
mod builds;
mod claims;
mod cleanup;
mod database;
mod deployments;
mod edges;
mod env;
mod error;
mod facts;
mod fleet;
mod git_packs;
mod idempotency;
mod instances;
mod jobs;
mod leads;
mod live;
mod log;
mod net;
mod owner;
mod patience;
mod postgres;
mod processes;
mod reader;
mod removed;
mod rollouts;
mod room;
mod run_usage;
mod runs;
mod scaling;
mod schema;
pub mod seal;
mod session;
mod spare;
mod sql;
mod start;
mod templates;
mod tenants;
mod tokens;
mod transfer;
mod uploads;
mod volumes;
mod workers;
mod writer;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use skylift_model::instance_type::InstanceTypes;

pub use ai_usage::{AiUsageRow, day_after, day_of};
pub use app_databases::DatabaseRow;
pub use apps::AppRow;
pub use builds::BuildInput;
pub use cleanup::{Expired, References};
pub use deployments::{Accepted, DeploymentRow, NewDeployment, SentBytes};
pub use env::SealedEnv;
pub use error::{Conflict, Missing, StoreError};
pub use fleet::{Beside, Changed, Changes, Crash, Fleet, NewBeside};
pub use idempotency::{Answer, Done, Idempotency, Once};
pub use instances::{End, InstanceInput, InstanceRow};
pub use jobs::{Job, JobCounts, JobKind, Lease};
pub use leads::LeadRow;
pub use live::WentLive;
pub use rollouts::{RolloutRow, RolloutSeen, STEP, Steer};
pub use room::{NodeRow, Unstarted};
pub use runs::{
    Backlog, ByMessages, Callback, CallbackRow, CallbackState, Document, Ended, HeldBack, NewRun, RunRow, RunsSeen,
    Standing, TakenRun, WaitingRun,
};
pub use scaling::{ByHand, Scaled};
pub use templates::TemplateRow;
pub use tenants::{Tenant, TenantError, TenantServer};
pub use tokens::{KeyChange, NewKey, TokenRow};
pub use transfer::{Moved, Room};
pub use uploads::OpenedUpload;
pub use volumes::{NewVolume, VolumeKind, VolumeRow, WithData};
pub use workers::WorkerRow;

use database::Database;
use patience::Patience;
use postgres::Server;
use reader::Readers;
use session::Session;
use writer::Writer;

/// The store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>, Option<Patience>);

struct Inner {
    database: Database,
    writer: Writer,
    readers: Readers,
    types: OnceLock<InstanceTypes>,
}

impl Store {
    /// Opens the database file, makes it where it does not exist, and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::on(Database::Sqlite(path.to_owned()))
    }

    /// Connects to a PostgreSQL database, `postgres://user:password@host:port/database`, and brings its schema up to
    /// date. Other processes may use the same one. A server that is not there yet is waited for, for a few seconds.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let server = Server::parse(url)?;
        let connected = tokio::task::spawn_blocking(|| Self::on(Database::Postgres(Box::new(server))));
        connected.await.map_err(|_| StoreError::Closed)?
    }

    /// Like [`Store::connect`], for a process that has work to do without the database: nothing is asked of the server
    /// before it is needed, and until it was reached for the first time callers are told soon that it cannot be.
    pub fn connect_later(url: &str) -> Result<Self, StoreError> {
        let database = Database::Postgres(Box::new(Server::parse(url)?.later()));
        Self::with_session(database, None)
    }

    /// Like [`Store::connect`], for a process that must be the only one: [`StoreError::InUse`] while another one uses the
    /// same database, and others cannot begin to.
    pub async fn connect_alone(url: &str) -> Result<Self, StoreError> {
        let server = Server::parse(url)?.alone();
        let connected = tokio::task::spawn_blocking(|| Self::on(Database::Postgres(Box::new(server))));
        connected.await.map_err(|_| StoreError::Closed)?
    }

    /// Whether an address is one that [`Store::connect`] understands.
    pub fn check_url(url: &str) -> Result<(), StoreError> {
        Server::parse(url).map(|_| ())
    }

    fn on(database: Database) -> Result<Self, StoreError> {
        let session = database.open_writer()?;
        database.require_sessions(&session)?;
        Self::with_session(database, Some(session))
    }

    fn with_session(database: Database, session: Option<Session>) -> Result<Self, StoreError> {
        let writer = Writer::spawn(database.clone(), session)?;
        let readers = Readers::new(database.clone());
        Ok(Self(Arc::new(Inner { database, writer, readers, types: OnceLock::new() }), None))
    }

    /// The instance types there are, which the platform's owner names. Set once, before anything is started; else there are the
    /// built-in ones.
    #[must_use]
    pub fn with_instance_types(self, types: InstanceTypes) -> Self {
        let _ = self.0.types.set(types);
        self
    }

    /// The instance types there are.
    pub fn instance_types(&self) -> InstanceTypes {
        self.0.types.get_or_init(InstanceTypes::default).clone()
    }

    /// The same store for one caller who waits so long in all, however much is asked; then every answer is
    /// [`StoreError::Unavailable`]. A write that had begun by then may be done all the same, one that had not is left out.
    #[must_use]
    pub fn with_patience(&self, in_all: Duration) -> Self {
        Self(self.0.clone(), Some(Patience::new(in_all)))
    }

    /// Whether other processes may use the same store: then nobody may take for free what another one holds.
    pub fn is_shared(&self) -> bool {
        matches!(self.0.database, Database::Postgres(_))
    }

    /// What the clock of the database's server says; `None` where the rows are in a file.
    pub async fn server_time(&self) -> Result<Option<skylift_model::Timestamp>, StoreError> {
        if !self.is_shared() {
            return Ok(None);
        }
        let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now";
        self.read(|session| session.one(sql, &[], |row| sql::time(row, "now"))).await.map(Some)
    }

    /// Runs one unit of work in a transaction; durable when this returns.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.answer(self.0.writer.run(work)).await
    }

    /// Runs queries on one snapshot.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.0.clone();
        self.answer(async {
            let place = self.0.readers.admit().await?;
            let reading = move || {
                // Until it is over, whether or not somebody still waits for it.
                let _place = place;
                inner.readers.run(work)
            };
            tokio::task::spawn_blocking(reading).await.map_err(|_| StoreError::Closed)?
        })
        .await
    }

    /// The same for a question that one index answers, and that every request asks. On a file it is answered here and now: that takes less than
    /// waking another thread and being woken again, and readers wait for nobody there.
    async fn read_quickly<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if !self.0.database.is_file() {
            return self.read(work).await;
        }
        let place = self.answer(self.0.readers.admit()).await?;
        let answer = self.0.readers.run(work);
        drop(place);
        answer
    }

    /// Waits for an answer, as long as the caller would.
    async fn answer<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match &self.1 {
            Some(patience) => patience.wait(answer).await,
            None => answer.await,
        }
    }
}

impl std::fmt::Display for Store {
    /// Where the rows are, for people; no secret is in it.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.0.database)
    }
}
