//! The queue beside the rows, where the settings have one.

use std::sync::Arc;

use anyhow::Context;
use skylift_queue::{Queue, RedisStreams};

use crate::config::{Config, QueueKind};

/// The queue of runs as the settings have it. Whether what is beside the rows answers does not matter yet.
pub(crate) fn beside_rows(rows: Queue, config: &Config) -> anyhow::Result<Queue> {
    Ok(match config.runs.queue {
        QueueKind::Store => rows,
        QueueKind::Redis => rows.beside(Arc::new(RedisStreams::new(&config.bus).context("[runs] queue")?)),
        QueueKind::Sqs => at_sqs(rows, config)?,
    })
}

#[cfg(feature = "sqs")]
fn at_sqs(rows: Queue, config: &Config) -> anyhow::Result<Queue> {
    let settings = config.runs.sqs.as_ref().context("[runs.sqs] is missing")?;
    Ok(rows.beside(Arc::new(skylift_queue::Sqs::new(settings)?)))
}

#[cfg(not(feature = "sqs"))]
fn at_sqs(_: Queue, _: &Config) -> anyhow::Result<Queue> {
    anyhow::bail!("this executable was built without `sqs`")
}
