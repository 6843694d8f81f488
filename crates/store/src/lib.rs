//! The truth: apps, uploads, deployments, jobs, environments, tokens. The only SQL of the project.
//!
//! Writes go through one thread that commits many requests at once and answers each after the commit is on disk.
//! A state change and the job that follows from it are one transaction.

mod apps;
mod cleanup;
mod deployments;
mod env;
mod error;
mod idempotency;
mod jobs;
mod live;
mod log;
mod reader;
mod schema;
pub mod seal;
mod sql;
mod tokens;
mod uploads;
mod writer;

use std::path::Path;
use std::sync::Arc;

pub use apps::AppRow;
pub use cleanup::{Expired, References};
pub use deployments::{Accepted, BuildInput, DeploymentRow, NewDeployment, SentBytes};
pub use env::SealedEnv;
pub use error::{Conflict, Missing, StoreError};
pub use idempotency::{Answer, Done, Idempotency, Once};
pub use jobs::{Job, JobCounts, JobKind, Lease};
pub use live::WentLive;
pub use tokens::TokenRow;
pub use uploads::OpenedUpload;

use reader::Readers;
use writer::Writer;

/// The store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    writer: Writer,
    readers: Readers,
}

impl Store {
    /// Opens the database file, makes it where it does not exist, and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open(path)?;
        Ok(Self(Arc::new(Inner { writer: Writer::spawn(connection)?, readers: Readers::new(path) })))
    }

    /// Runs one unit of work in a transaction; durable when this returns.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.writer.run(work).await
    }

    /// Runs queries on one snapshot.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || inner.readers.run(work)).await.map_err(|_| StoreError::Closed)?
    }
}
