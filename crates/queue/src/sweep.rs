//! What waits and the queue beside the rows does not know is announced again: its data was lost, it was away, or whoever was about to
//! announce a run died. On the rows alone there is nothing to do.

use std::time::Duration;

use skylift_bus::Message;
use skylift_model::chain;
use tokio::sync::watch;

use crate::Queue;
use crate::hold::DepthError;
use crate::service::Notice;

/// How often it is looked.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How many that wait are looked at, the next ones first: whoever comes after them is looked at once they are gone.
const LOOK_MAX: u32 = 50_000;
/// How many are asked for at once.
const PAGE: usize = 1000;

impl Queue {
    /// Announces again what waits and is not known. Returns how many were.
    ///
    /// # Errors
    /// As the store, or the queue beside the rows, fails.
    pub async fn sweep(&self) -> Result<usize, DepthError> {
        let Some(hints) = &self.hints else { return Ok(0) };
        let now = self.clock.now();
        let waiting: Vec<Notice> = self
            .store
            .waiting_runs(LOOK_MAX)
            .await?
            .into_iter()
            .map(|run| Notice { id: run.id, priority: run.priority, after: run.visible.since(now) })
            .collect();
        let mut again = 0;
        for page in waiting.chunks(PAGE) {
            let unknown = hints.service.unknown(page).await?;
            if !unknown.is_empty() {
                hints.service.announce(&unknown).await?;
                again += unknown.len();
            }
        }
        if again > 0 {
            self.bus.publish(Message::RunsReady);
        }
        Ok(again)
    }

    /// Sweeps until told to stop.
    pub async fn sweep_regularly(self, mut stop: watch::Receiver<bool>) {
        if self.hints.is_none() {
            return;
        }
        while !*stop.borrow() {
            match self.sweep().await {
                Ok(0) => {}
                Ok(runs) => tracing::info!(runs, "runs that wait were unknown to their queue and are announced again"),
                // That it is away is told by who has use for it.
                Err(DepthError::Service(error)) => tracing::debug!(error = chain(&error), "runs are not swept"),
                Err(DepthError::Store(error)) => tracing::warn!(error = chain(&error), "runs are not swept"),
            }
            tokio::select! {
                () = tokio::time::sleep(SWEEP_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }
}
