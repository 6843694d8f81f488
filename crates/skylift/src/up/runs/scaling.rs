//! Who starts and ends the workers of runs by their backlog.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use skylift_control::run_workers::{WorkerNumbers, WorkerScaler};
use skylift_control::worker::Queue;

use super::WorkerProcesses;
use crate::config::Config;
use crate::up::folder::DataFolder;
use crate::up::secrets::MASTER_KEY_FILE;

/// Who scales the workers of runs: only looks, where none is to be started.
pub(crate) fn scaler(
    queue: &Queue,
    config: &Config,
    folder: &DataFolder,
    node: &str,
    settings: Option<PathBuf>,
    numbers: Arc<WorkerNumbers>,
) -> anyhow::Result<WorkerScaler> {
    let scaler = WorkerScaler::new(queue.clone(), numbers);
    let Some(bounds) = config.runs.workers() else { return Ok(scaler) };
    let own_key = || folder.path().join(MASTER_KEY_FILE);
    let processes = WorkerProcesses {
        node: node.to_owned(),
        folder: folder.sub("workers")?,
        settings,
        master_key: config.master_key_file.clone().unwrap_or_else(own_key),
        running: BTreeMap::new(),
    };
    Ok(scaler.with_host(node.to_owned(), bounds, Box::new(processes)))
}
