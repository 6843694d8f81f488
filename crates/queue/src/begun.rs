//! Runs that were begun, until it is noted that they were: a little later, since most have ended by then and need no note, and by nobody
//! who is waited for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use skylift_model::{RunId, chain};
use skylift_store::TakenRun;
use tokio::task::JoinSet;

use crate::Queue;

/// How long after it was begun that is noted of a run.
const NOTED_AFTER: Duration = Duration::from_millis(100);

/// Those that are not noted yet, the first ones first.
#[derive(Default)]
pub(crate) struct Begun {
    unnoted: VecDeque<(Instant, RunId)>,
    noting: JoinSet<()>,
}

impl Begun {
    /// One begins.
    pub(crate) fn add(&mut self, id: RunId) {
        self.unnoted.push_back((Instant::now(), id));
    }

    /// Returns when it is to be noted of some; never, where there are none.
    pub(crate) async fn is_due(&self) {
        match self.unnoted.front() {
            Some((at, _)) => tokio::time::sleep(NOTED_AFTER.saturating_sub(at.elapsed())).await,
            None => std::future::pending().await,
        }
    }

    /// Notes it of those that are held still.
    pub(crate) fn note(&mut self, queue: &Queue, held: impl Fn(&RunId) -> Option<TakenRun>) {
        while self.noting.try_join_next().is_some() {}
        let mut begun = Vec::new();
        // Some that are due a little later are noted along.
        while let Some((_, id)) = self.unnoted.pop_front_if(|(at, _)| at.elapsed() > NOTED_AFTER / 2) {
            begun.extend(held(&id));
        }
        if begun.is_empty() {
            return;
        }
        let queue = queue.clone();
        self.noting.spawn(async move {
            if let Err(error) = queue.note_begun(begun).await {
                tracing::warn!(error = chain(&error), "it is not noted that runs were begun");
            }
        });
    }
}
