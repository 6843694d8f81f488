//! What came of runs, on its way into rows: whatever has ended while the last batch was written is the next one.

use skylift_bus::Message;
use skylift_model::run::{Ending, RunStatus};
use skylift_model::{RunId, chain};
use skylift_store::{Ended, TakenRun};
use tokio::sync::mpsc;

use crate::{Queue, QueueError, document, shorten};

/// How many are written at once.
const BATCH_MAX: usize = 64;

/// A run that has ended, and who held it.
pub(crate) type Settled = (TakenRun, Ended);

/// What is written of a run: where there is no room, its verdict and the beginning of what it printed.
pub(crate) async fn ended(queue: &Queue, id: &RunId, ending: &Ending) -> Result<Ended, QueueError> {
    let status = ending.decisive().map_or(RunStatus::Internal, |step| step.status);
    let shortened = if (queue.room)() { None } else { Some(shorten::shortened(ending.clone())) };
    let (ending, _) = document::of(&queue.blobs, shortened.as_ref().unwrap_or(ending), "ending").await?;
    Ok(Ended { id: id.clone(), status, ending })
}

/// Writes what comes until nobody sends any more. What cannot be written is not lost: its lease ends, and another attempt is made.
pub(crate) async fn write_all(queue: Queue, mut settled: mpsc::Receiver<Settled>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while settled.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let is_any_bounded = batch.iter().any(|(held, _)| held.is_bounded);
        let ids: Vec<RunId> = batch.iter().map(|(held, _)| held.id.clone()).collect();
        if is_any_bounded {
            // Before their places are free: the next ones go by what these have used.
            queue.usage.write().await;
        }
        match queue.settle(std::mem::take(&mut batch)).await {
            Ok(held) => {
                for (id, held) in ids.iter().zip(held) {
                    if !held {
                        tracing::info!(run = id.as_str(), "a run ended that was cancelled or lost meanwhile");
                    }
                }
            }
            Err(error) => tracing::error!(error = chain(&error), runs = ids.len(), "what came of runs is not written"),
        }
        for id in &ids {
            queue.live.forget(id);
        }
        queue.bus.publish(Message::RunsSettled(ids));
        if is_any_bounded {
            // Others of the same key may begin now, here or elsewhere.
            queue.bus.publish(Message::RunsReady);
        }
    }
}
