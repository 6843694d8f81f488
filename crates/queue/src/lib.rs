//! Runs that outlive their request: from the row that says what is to be run to the row that says what came of it, and to those who
//! wait for that.
//!
//! The store has the truth, and is the queue as well; or a queue beside it ([`Service`]) says who is to look at which row next. Workers take runs in batches ([`Dispatch`]), as far ahead as their speed asks for; what came of them is
//! written in batches as well. Whoever waits is woken over the one subscription of the process ([`Waiting`]) and reads the row. What a
//! run prints can be followed while it does where the worker is in the same process ([`Live`]).

mod ahead;
mod begun;
mod dispatch;
mod document;
mod duty;
mod hints;
mod hold;
mod live;
mod service;
mod settle;
mod shorten;
mod sweep;
mod usage;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use skylift_blob::{BlobError, Blobs};
use skylift_bus::{Bus, Message};
use skylift_model::run::{Ending, Job, RunState};
use skylift_model::{Clock, RunId, Timestamp, TokenId};
use skylift_store::{Done, NewRun, Once, RunRow, Store, StoreError};

pub use dispatch::{Dispatch, Execute, Failed};
pub use duty::{Duty, Load};
pub use hold::DepthError;
pub use live::{Live, LiveRuns, Printed, Seen};
pub use service::redis::RedisStreams;
#[cfg(feature = "sqs")]
pub use service::sqs::{Sqs, SqsSettings};
pub use service::{Depth, Notice, Received, Served, Service, ServiceError};
pub use usage::Usage;
pub use waiting::{Waiter, Waiting};

use hints::Hints;

/// Why a run was not queued, or not read.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A document that is named is not there, or is none.
    #[error("the run's {0} cannot be read")]
    Document(&'static str),
}

/// The queue. Cheap to clone; all clones are the same queue.
#[derive(Clone)]
pub struct Queue {
    pub store: Store,
    pub blobs: Blobs,
    pub bus: Bus,
    pub clock: Clock,
    /// What runs of this process print.
    pub live: LiveRuns,
    /// The queue beside the rows, where there is one.
    hints: Option<Arc<Hints>>,
    /// What runs of each key came to.
    pub usage: Usage,
    /// Whether what comes of a run may be written whole.
    room: Room,
}

/// Whether there is room for more than what must be written.
pub type Room = Arc<dyn Fn() -> bool + Send + Sync>;

/// A run to be queued.
#[derive(Clone, Debug)]
pub struct Order {
    pub job: Job,
    pub priority: i32,
    /// How long it is kept once it has settled.
    pub ttl: Duration,
    /// The interface that it was asked for by, where that is not our own.
    pub via: Option<&'static str>,
    /// The address at which its end is to be told.
    pub callback: Option<String>,
}

impl Order {
    /// One whose end is told to nobody who does not ask.
    pub fn new(job: Job, priority: i32, ttl: Duration) -> Self {
        Self { job, priority, ttl, via: None, callback: None }
    }
}

impl Queue {
    /// The queue on these stores.
    pub fn new(store: Store, blobs: Blobs, bus: Bus, clock: Clock) -> Self {
        let usage = Usage::new(store.clone(), clock.clone());
        Self { store, blobs, bus, clock, live: LiveRuns::default(), hints: None, usage, room: Arc::new(|| true) }
    }

    /// The same where there may be no room: what comes of a run is written short then.
    #[must_use]
    pub fn within(mut self, room: Room) -> Self {
        self.room = room;
        self
    }

    /// The same with a queue beside the rows. Within a runtime: it is told in the background what becomes of runs.
    #[must_use]
    pub fn beside(mut self, service: Arc<dyn Service>) -> Self {
        self.hints = Some(Arc::new(Hints::start(service, self.bus.clone())));
        self
    }

    /// Whoever takes runs is to look for these. With a queue beside the rows they are woken once it knows.
    fn announce(&self, notices: Vec<Notice>) {
        match &self.hints {
            None => self.bus.publish(Message::RunsReady),
            Some(hints) => hints.announce(notices),
        }
    }

    /// What a queue beside the rows is to know of new runs.
    fn notices(&self, new: &[NewRun]) -> Vec<Notice> {
        let notice = |run: &NewRun| Notice { id: run.id.clone(), priority: run.priority, after: Duration::ZERO };
        if self.hints.is_some() { new.iter().map(notice).collect() } else { Vec::new() }
    }

    /// Queues runs, all or none; durable when this returns.
    ///
    /// # Errors
    /// As the stores fail.
    pub async fn add(
        &self,
        token: &TokenId,
        orders: Vec<Order>,
        once: Once<Vec<RunId>>,
    ) -> Result<Done<Vec<RunId>>, QueueError> {
        let mut new = Vec::with_capacity(orders.len());
        for order in orders {
            new.push(self.new_run(token, order).await?);
        }
        let notices = self.notices(&new);
        let done = self.store.add_runs(new, once, self.clock.now()).await?;
        if matches!(done, Done::Now(..)) {
            self.announce(notices);
        }
        Ok(done)
    }

    /// Keeps a run that is over already.
    ///
    /// # Errors
    /// As the stores fail.
    pub async fn keep(
        &self,
        token: &TokenId,
        (order, asked_at): (Order, Timestamp),
        ending: &Ending,
    ) -> Result<(), QueueError> {
        let ended = settle::ended(self, &order.job.id, ending).await?;
        let new = self.new_run(token, order).await?;
        Ok(self.store.keep_run(new, ended, (asked_at, self.clock.now())).await?)
    }

    async fn new_run(&self, token: &TokenId, order: Order) -> Result<NewRun, QueueError> {
        let Order { job, priority, ttl, via, callback } = order;
        let (document, sha256) = document::of(&self.blobs, &job, "job").await?;
        let (id, language, token) = (job.id, job.language, token.clone());
        Ok(NewRun { id, token, language, priority, job: document, sha256, ttl, via, callback })
    }

    /// Ends a run that has not settled, wherever it is.
    ///
    /// # Errors
    /// Where there is none of that token, or it has settled.
    pub async fn cancel(&self, id: RunId, of: Option<TokenId>, once: Once<RunRow>) -> Result<Done<RunRow>, QueueError> {
        let done = self.store.cancel_run(id.clone(), of, once, self.clock.now()).await?;
        if matches!(done, Done::Now(..)) {
            self.bus.publish(Message::RunCancelled(id.clone()));
            self.bus.publish(Message::RunsSettled(vec![id]));
        }
        Ok(done)
    }

    /// Gives a run that was given up its attempts back.
    ///
    /// # Errors
    /// Where there is none of that token, or it was not given up.
    pub async fn redrive(
        &self,
        id: RunId,
        of: Option<TokenId>,
        once: Once<RunRow>,
    ) -> Result<Done<RunRow>, QueueError> {
        let done = self.store.redrive_run(id, of, once, self.clock.now()).await?;
        if let Done::Now(row, _) = &done {
            self.announce(vec![Notice { id: row.id.clone(), priority: row.priority, after: Duration::ZERO }]);
        }
        Ok(done)
    }

    /// What is to be run.
    ///
    /// # Errors
    /// As the stores fail.
    pub async fn job(&self, row: &RunRow) -> Result<Job, QueueError> {
        document::read(&self.blobs, &row.job, "job").await
    }

    /// What came of it, where it is done.
    ///
    /// # Errors
    /// As the stores fail.
    pub async fn ending(&self, row: &RunRow) -> Result<Option<Ending>, QueueError> {
        match (&row.ending, row.state) {
            (Some(ending), RunState::Done) => document::read(&self.blobs, ending, "ending").await.map(Some),
            _ => Ok(None),
        }
    }
}
