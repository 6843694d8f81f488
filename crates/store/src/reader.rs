//! Sessions that only read; each query sees one snapshot and never waits for the writer.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreError;
use crate::database::Database;
use crate::postgres::PATIENCE;
use crate::session::Session;

/// How many sessions read at the same time; a server counts its connections.
const BUSY_MAX: usize = 8;

pub(crate) struct Readers {
    database: Database,
    idle: Mutex<Vec<Session>>,
    room: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, idle: Mutex::new(Vec::new()), room: Arc::new(Semaphore::new(BUSY_MAX)) }
    }

    /// Waits until one more may read; it holds this place for as long as it does.
    pub(crate) async fn admit(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        match tokio::time::timeout(PATIENCE * 2, self.room.clone().acquire_owned()).await {
            Ok(place) => place.map_err(|_| StoreError::Closed),
            Err(_) => Err(StoreError::Unavailable("too many wait for it".to_owned())),
        }
    }

    /// Runs queries on one snapshot. Blocks.
    pub(crate) fn run<T>(&self, work: impl FnOnce(&Session) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let session = self.begin()?;
        let result = work(&session);
        if session.commit().is_err() {
            session.roll_back();
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.database.idle_max() && !session.is_lost() {
            idle.push(session);
        }
        result
    }

    /// A session in a new transaction; those that proved lost while they were idle are left.
    fn begin(&self) -> Result<Session, StoreError> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(session) = kept else { break };
            if session.begin_read().is_ok() {
                return Ok(session);
            }
        }
        let session = self.database.open_reader()?;
        session.begin_read()?;
        Ok(session)
    }
}
