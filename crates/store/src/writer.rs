//! The one thread that writes.
//!
//! It takes what waits, runs each request in a part of one transaction, commits, and only then answers: the
//! price of one fsync is shared by all that came while the last one ran. A request that fails undoes itself alone.
//!
//! Where the connection is lost, those that had begun are told so, and those that had not wait for the next one. What nobody waits
//! for any more is not begun, and where the database is slow a batch is shorter: then nothing piles up.

mod request;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use skylift_durable::{Defence, left_out};
use tokio::sync::{Semaphore, oneshot};

use crate::database::Database;
use crate::session::{Mark, Session};
use crate::{StoreError, sql};
use request::{Request, Work};

/// The most requests in one commit: PostgreSQL keeps track of 64 parts of a transaction cheaply, more cost it a search.
const BATCH_MAX: usize = 64;
/// How long after a batch has begun no more of its requests are: other processes wait for its end.
const BATCH_WITHIN: Duration = Duration::from_secs(1);
/// How many requests may wait; beyond it callers wait to be let in.
const QUEUE_MAX: usize = 1024;

pub(crate) struct Writer {
    requests: mpsc::Sender<Box<dyn Request>>,
    room: Semaphore,
}

impl Writer {
    /// Starts the thread with its first session, where there is one yet; later ones it opens itself.
    pub(crate) fn spawn(database: Database, session: Option<Session>) -> Result<Self, StoreError> {
        let (sender, waiting) = mpsc::channel::<Box<dyn Request>>();
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        let writer = i64::try_from(sql::random()? >> 1).unwrap_or(0);
        let pen = Pen { database, session, mark: Mark { writer, batch: 0 } };
        thread.spawn(move || pen.write_until_closed(&waiting)).map_err(|_| StoreError::Closed)?;
        Ok(Self { requests: sender, room: Semaphore::new(QUEUE_MAX) })
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _place = self.room.acquire().await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        self.requests.send(Box::new(Work::new(work, reply))).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

/// What the thread writes with.
struct Pen {
    database: Database,
    /// None before the first request, and after the connection was lost until the next one.
    session: Option<Session>,
    /// What the last commit is known by.
    mark: Mark,
}

impl Pen {
    fn write_until_closed(mut self, requests: &mpsc::Receiver<Box<dyn Request>>) {
        let mut waiting = Vec::new();
        loop {
            if waiting.is_empty() {
                match requests.recv() {
                    Ok(first) => waiting.push(first),
                    Err(mpsc::RecvError) => return,
                }
            }
            waiting.extend(requests.try_iter().take(BATCH_MAX.saturating_sub(waiting.len())));
            waiting = self.write_batch(waiting);
        }
    }

    /// Runs a batch, commits it, and answers. Returns the requests that had not begun when its time was up or the connection lost.
    fn write_batch(&mut self, mut batch: Vec<Box<dyn Request>>) -> Vec<Box<dyn Request>> {
        self.mark.batch += 1;
        let mark = self.mark;
        let session = match self.begin() {
            Ok(session) => session,
            Err(error) => {
                answer(batch, &Err(error));
                return Vec::new();
            }
        };
        let (begun, done) = run_all(session, &mut batch, BATCH_WITHIN);
        let ran = done.is_ok();
        let waits_on = ran || session.is_lost();
        let not_begun = if waits_on { batch.split_off(begun.min(batch.len())) } else { Vec::new() };
        if ran && left_out(Defence::Commit) {
            answer(std::mem::take(&mut batch), &Ok(()));
            skylift_durable::is_late();
        }
        let mut done = done.and_then(|()| skylift_durable::commit(|| session.commit_write(mark)));
        if done.is_err() {
            session.roll_back();
        }
        if session.is_lost() {
            self.session = None;
            if ran && done.is_err() && self.was_committed(mark) {
                done = Ok(());
            }
        }
        answer(batch, &done);
        not_begun
    }

    /// Whether a commit took place whose answer was lost. Nobody can say while the database is away.
    fn was_committed(&mut self, mark: Mark) -> bool {
        // The writer's lock is free only once the lost transaction has ended, one way or the other.
        let Ok(session) = self.begin() else { return false };
        let there = session.has(mark);
        session.roll_back();
        there.unwrap_or(false)
    }

    /// A session in a new transaction. One that proves lost is replaced: nothing has begun on it.
    fn begin(&mut self) -> Result<&Session, StoreError> {
        let begun = self.session.as_ref().map(Session::begin_write);
        if self.session.as_ref().is_some_and(Session::is_lost) {
            self.session = None;
        }
        match (&mut self.session, begun) {
            (Some(session), Some(begun)) => begun.map(|()| &*session),
            (session, _) => {
                let new = self.database.open_writer()?;
                new.begin_write()?;
                Ok(session.insert(new))
            }
        }
    }
}

/// Runs each request in its part of the transaction; none is begun after so long but the first. Returns how many had their turn.
fn run_all(session: &Session, batch: &mut [Box<dyn Request>], within: Duration) -> (usize, Result<(), StoreError>) {
    let began = Instant::now();
    for (index, request) in batch.iter_mut().enumerate() {
        if index > 0 && began.elapsed() >= within {
            return (index, Ok(()));
        }
        if !request.is_wanted() {
            continue;
        }
        let ran = session.begin_part().and_then(|()| {
            let keep = request.run(session);
            session.end_part(keep)
        });
        if session.is_lost() {
            return (index + 1, Err(StoreError::Unavailable("the connection was lost".to_owned())));
        }
        if ran.is_err() {
            return (index + 1, ran);
        }
    }
    (batch.len(), Ok(()))
}

fn answer(batch: Vec<Box<dyn Request>>, done: &Result<(), StoreError>) {
    for request in batch {
        request.answer(match done {
            Ok(()) => Ok(()),
            Err(StoreError::OutOfSpace) => Err(StoreError::OutOfSpace),
            Err(StoreError::Disk(error)) => Err(StoreError::Disk(std::io::Error::new(error.kind(), error.to_string()))),
            Err(StoreError::Unavailable(why)) => Err(StoreError::Unavailable(why.clone())),
            // Found when a lost connection was replaced: a newer program came, or somebody moves the database. Whoever runs the platform
            // ends that; until then nothing can be written.
            Err(error @ (StoreError::Newer { .. } | StoreError::InUse)) => {
                Err(StoreError::Unavailable(error.to_string()))
            }
            Err(error) => Err(StoreError::Damaged(format!("commit failed: {error:?}"))),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Reply = oneshot::Receiver<Result<(), StoreError>>;

    fn batch(of: usize) -> (Vec<Box<dyn Request>>, Vec<Reply>) {
        let one = |_| {
            let (reply, answer) = oneshot::channel();
            let work: Box<dyn Request> = Box::new(Work::new(|_: &Session| Ok(()), reply));
            (work, answer)
        };
        (0..of).map(one).unzip()
    }

    fn session() -> Session {
        let session = Session::sqlite(rusqlite::Connection::open_in_memory().unwrap());
        session.begin_write().unwrap();
        session
    }

    #[test]
    fn a_batch_whose_time_is_up_leaves_the_rest_to_the_next() {
        let (mut requests, _waiting) = batch(3);
        let (begun, ran) = run_all(&session(), &mut requests, Duration::ZERO);
        assert!(ran.is_ok() && begun == 1, "one gets on, however slow the database is: {begun}");
        let (begun, ran) = run_all(&session(), &mut requests, Duration::from_secs(3600));
        assert!(ran.is_ok() && begun == 3, "control: {begun}");
    }

    #[test]
    fn what_nobody_waits_for_has_its_turn_and_does_nothing() {
        let (mut requests, mut waiting) = batch(3);
        waiting.remove(1);
        let (begun, ran) = run_all(&session(), &mut requests, Duration::from_secs(3600));
        assert!(ran.is_ok() && begun == 3, "{begun}");
        answer(requests, &Ok(()));
        for mut answer in waiting {
            assert!(answer.try_recv().unwrap().is_ok(), "control: the others were done");
        }
    }
}
