//! The queue of runs as the settings have it: its rows, what lies beside them, and how much of the disk it may take.

use std::sync::Arc;

use anyhow::Context;
use skylift_queue::{Queue, RedisStreams, Room};

use crate::config::{Config, QueueKind};
use crate::up::folder::DataFolder;
use crate::up::workers::Core;

/// Whether what is beside the rows answers does not matter yet.
pub(crate) fn queue(core: &Core, config: &Config, folder: &DataFolder) -> anyhow::Result<Queue> {
    let Core { store, blobs, bus, clock, .. } = core.clone();
    let rows = Queue::new(store, blobs, bus, clock);
    Ok(beside(rows, config)?.within(room(folder, config)))
}

fn beside(rows: Queue, config: &Config) -> anyhow::Result<Queue> {
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

/// Whether what comes of a run may be written whole: what is in an object store takes nothing of our disk.
fn room(folder: &DataFolder, config: &Config) -> Room {
    let (path, reserve_bytes) = (folder.path().to_owned(), config.keep.reserve_bytes);
    let is_ours = config.blob.s3.is_none();
    Arc::new(move || !is_ours || skylift_api::has_room(&path, reserve_bytes))
}
