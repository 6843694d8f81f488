//! Runs in the hands of a worker, on the rows alone or with a queue beside them: what holds for the row first, then what the queue is told.

use std::time::Duration;

use skylift_model::{RunId, chain};
use skylift_store::{Ended, StoreError, TakenRun};

use crate::Queue;
use crate::hints::Take;
use crate::service::{Depth, ServiceError};

/// When the queue beside the rows shows a run again whose attempt came to nothing; the row may say later.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Queue {
    /// Takes the next runs for a worker, for a time.
    ///
    /// # Errors
    /// As the store fails. A queue beside the rows that does not answer is done without.
    pub async fn take(&self, who: &str, most: u32, lease: Duration) -> Result<Vec<TakenRun>, StoreError> {
        let (who, now) = (who.to_owned(), self.clock.now());
        match &self.hints {
            None => self.store.take_runs(who, most, now, lease).await,
            Some(hints) => hints.take(&self.store, Take { who, most, now, lease }).await,
        }
    }

    /// Holds runs for longer; says of each whether it is still held.
    ///
    /// # Errors
    /// As the store fails.
    pub async fn renew(&self, who: &str, held: Vec<TakenRun>, lease: Duration) -> Result<Vec<bool>, StoreError> {
        let ids = self.hinted(&held);
        let still = self.store.renew_runs(held, self.clock.now(), lease).await?;
        if let Some(hints) = &self.hints {
            hints.renew(who, &those(ids, &still), lease);
        }
        Ok(still)
    }

    /// Notes that runs were begun: where their worker is lost from here on, it was an attempt.
    ///
    /// # Errors
    /// As the store fails.
    pub async fn note_begun(&self, held: Vec<TakenRun>) -> Result<(), StoreError> {
        self.store.note_begun(held).await
    }

    /// Writes what came of runs; says of each whether it was still held. Of those that were not nothing is written.
    ///
    /// # Errors
    /// As the store fails.
    pub async fn settle(&self, ended: Vec<(TakenRun, Ended)>) -> Result<Vec<bool>, StoreError> {
        let ids: Vec<RunId> = match &self.hints {
            None => Vec::new(),
            Some(_) => ended.iter().map(|(held, _)| held.id.clone()).collect(),
        };
        let settled = self.store.settle_runs(ended, self.clock.now()).await?;
        if let Some(hints) = &self.hints {
            for (id, _) in ids.iter().zip(&settled).filter(|(_, settled)| !**settled) {
                hints.forget(id);
            }
            hints.acknowledge(&those(ids, &settled));
        }
        Ok(settled)
    }

    /// Puts runs back that were not begun, or whose worker is about to end: for others at once, and that they were taken does not count.
    ///
    /// # Errors
    /// As the store fails.
    pub async fn give_back(&self, held: Vec<TakenRun>) -> Result<(), StoreError> {
        let ids = self.hinted(&held);
        self.store.give_back_runs(held, self.clock.now()).await?;
        if let Some(hints) = &self.hints {
            hints.give_back(&ids, Duration::ZERO);
        }
        Ok(())
    }

    /// Gives an attempt up because of our own fault: it is made again later, or the run is dead. Returns whether it is.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] where another has it, or nobody; or as the store fails.
    pub async fn fail(&self, held: TakenRun, error: String) -> Result<bool, StoreError> {
        let id = held.id.clone();
        let failed = self.store.fail_run(held, error, self.clock.now()).await;
        if let Some(hints) = &self.hints {
            match &failed {
                Ok(true) => hints.acknowledge(std::slice::from_ref(&id)),
                Ok(false) => hints.give_back(std::slice::from_ref(&id), AGAIN_AFTER),
                Err(_) => hints.forget(&id),
            }
        }
        failed
    }

    /// This process has it no more.
    pub fn forget(&self, id: &RunId) {
        if let Some(hints) = &self.hints {
            hints.forget(id);
        }
    }

    /// How much the queue holds, by its own count: the rows', or that of the service beside them. [`Store::backlog`] is always the rows'.
    ///
    /// [`Store::backlog`]: skylift_store::Store::backlog
    ///
    /// # Errors
    /// Where whoever counts does not answer.
    pub async fn depth(&self) -> Result<Depth, DepthError> {
        match &self.hints {
            Some(hints) => Ok(hints.service.depth().await?),
            None => {
                let counted = self.store.backlog(self.clock.now()).await?;
                Ok(Depth { visible: counted.visible, in_flight: counted.running, delayed: counted.delayed })
            }
        }
    }

    /// Whose, where a queue beside the rows is to hear of it.
    fn hinted(&self, held: &[TakenRun]) -> Vec<RunId> {
        match &self.hints {
            None => Vec::new(),
            Some(_) => held.iter().map(|held| held.id.clone()).collect(),
        }
    }
}

/// Why it is not known how much a queue holds.
#[derive(Debug, thiserror::Error)]
pub enum DepthError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}", chain(.0))]
    Service(#[from] ServiceError),
}

fn those(ids: Vec<RunId>, are: &[bool]) -> Vec<RunId> {
    ids.into_iter().zip(are).filter_map(|(id, is)| is.then_some(id)).collect()
}
