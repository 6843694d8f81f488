//! The way from a run to models: a socket that listens in the run's own network, handed to whoever answers.

use std::os::fd::OwnedFd;

use skylift_model::TokenId;
use tokio::task::AbortHandle;

/// Where a run asks models, on its own loopback: the port that clients of Ollama try first.
pub(crate) const PORT: u16 = 11_434;

/// Answers what runs ask of models.
pub trait Models: Send + Sync {
    /// Answers whoever connects to a socket that listens (and does not block), on behalf of a key, until what is returned is dropped.
    /// Called within a runtime.
    fn answer(&self, listening: OwnedFd, key: &TokenId) -> Answering;
}

/// What is answered to one run, for as long as this lives.
#[derive(Debug)]
pub struct Answering(AbortHandle);

impl Answering {
    /// That a task does it.
    pub fn by(task: AbortHandle) -> Self {
        Self(task)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a program is told of it.
pub(crate) fn url() -> (String, String) {
    ("AI_URL".to_owned(), format!("http://127.0.0.1:{PORT}"))
}
