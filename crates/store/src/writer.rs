//! The one thread that writes.
//!
//! It takes what waits, runs each request in a savepoint of one transaction, commits, and only then answers: the
//! price of one fsync is shared by all that came while the last one ran. A request that fails undoes itself alone.

use std::sync::mpsc;

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use crate::StoreError;

/// The most requests in one commit.
const BATCH_MAX: usize = 256;
/// How many requests may wait; beyond it callers wait to be let in.
const QUEUE_MAX: usize = 1024;

/// A request: runs in its savepoint, returns whether to keep its work; then is told how the commit went.
trait Request: Send {
    fn run(&mut self, connection: &Connection) -> bool;
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

struct Work<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnOnce(&Connection) -> Result<T, StoreError> + Send> Request for Work<T, F> {
    fn run(&mut self, connection: &Connection) -> bool {
        let result = match self.work.take() {
            Some(work) => work(connection),
            None => Err(StoreError::Closed),
        };
        self.result.insert(result).is_ok()
    }

    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        let result = self.result.unwrap_or(Err(StoreError::Closed));
        let _ = self.reply.send(commit.and(result));
    }
}

pub(crate) struct Writer {
    requests: mpsc::Sender<Box<dyn Request>>,
    room: Semaphore,
}

impl Writer {
    pub(crate) fn spawn(connection: Connection) -> Result<Self, StoreError> {
        let (sender, waiting) = mpsc::channel::<Box<dyn Request>>();
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        thread.spawn(move || write_until_closed(&connection, &waiting)).map_err(|_| StoreError::Closed)?;
        Ok(Self { requests: sender, room: Semaphore::new(QUEUE_MAX) })
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _place = self.room.acquire().await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let request = Box::new(Work { work: Some(work), result: None, reply });
        self.requests.send(request).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

fn write_until_closed(connection: &Connection, requests: &mpsc::Receiver<Box<dyn Request>>) {
    while let Ok(first) = requests.recv() {
        let mut batch = vec![first];
        batch.extend(requests.try_iter().take(BATCH_MAX - 1));
        let commit = write_batch(connection, &mut batch);
        for request in batch {
            request.answer(match &commit {
                Ok(()) => Ok(()),
                Err(StoreError::OutOfSpace) => Err(StoreError::OutOfSpace),
                Err(StoreError::Disk(error)) => {
                    Err(StoreError::Disk(std::io::Error::new(error.kind(), error.to_string())))
                }
                Err(error) => Err(StoreError::Damaged(format!("commit failed: {error:?}"))),
            });
        }
    }
}

fn write_batch(connection: &Connection, batch: &mut [Box<dyn Request>]) -> Result<(), StoreError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = run_all(connection, batch).and_then(|()| commit(connection));
    if done.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

fn commit(connection: &Connection) -> Result<(), StoreError> {
    skylift_durable::commit(|| Ok(connection.execute_batch("COMMIT")?))
}

fn run_all(connection: &Connection, batch: &mut [Box<dyn Request>]) -> Result<(), StoreError> {
    for request in batch {
        connection.execute_batch("SAVEPOINT request")?;
        let keep = request.run(connection);
        connection.execute_batch(if keep { "RELEASE request" } else { "ROLLBACK TO request; RELEASE request" })?;
    }
    Ok(())
}
