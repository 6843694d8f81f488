//! A request to the writer: what it does, and who waits for it.

use tokio::sync::oneshot;

use crate::StoreError;
use crate::session::Session;

/// Runs in its part of a transaction, returns whether to keep its work; then is told how the commit went.
pub(super) trait Request: Send {
    /// Whether somebody still waits for it.
    fn is_wanted(&self) -> bool;
    fn run(&mut self, session: &Session) -> bool;
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

pub(super) struct Work<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Work<T, F> {
    pub(super) fn new(work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { work: Some(work), result: None, reply }
    }
}

impl<T: Send, F: FnOnce(&Session) -> Result<T, StoreError> + Send> Request for Work<T, F> {
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, session: &Session) -> bool {
        let result = match self.work.take() {
            Some(work) => work(session),
            None => Err(StoreError::Closed),
        };
        self.result.insert(result).is_ok()
    }

    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        let result = self.result.unwrap_or(Err(StoreError::Closed));
        let _ = self.reply.send(commit.and(result));
    }
}
