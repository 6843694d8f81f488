//! Runs in this process: for clients that wait, and from the queue.

use std::sync::Arc;

use skylift_ai::Node;
use skylift_build::equipment::Equipment;
use skylift_build::packages::PackageSets;
use skylift_queue::{Duty, Queue};
use skylift_run::RunMetrics;
use skylift_sandbox::InitFile;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{OwnRuns, RunFolders, RunWorker};
use crate::config::Config;
use crate::up::ai;
use crate::up::folder::DataFolder;
use crate::up::worker_of::WorkerOf;

/// What it takes.
pub(crate) struct Here<'h> {
    pub(crate) config: &'h Config,
    pub(crate) folder: &'h DataFolder,
    pub(crate) queue: &'h Queue,
    pub(crate) metrics: &'h Arc<RunMetrics>,
    pub(crate) equipment: &'h Arc<Equipment>,
    pub(crate) init: Option<InitFile>,
    /// Whom runs may ask.
    pub(crate) models: Node,
    /// What this worker is called.
    pub(crate) name: String,
    /// As [`crate::up::workers::Place::worker`].
    pub(crate) started_as: Option<(WorkerOf, watch::Receiver<Duty>)>,
}

impl Here<'_> {
    /// Starts the worker, and has sets of packages built.
    pub(crate) fn start(self, tasks: &mut JoinSet<()>, stop: &watch::Receiver<bool>) -> anyhow::Result<Arc<OwnRuns>> {
        let Self { config, folder, queue, metrics, equipment, init, models, name, started_as } = self;
        if let Some((worker, _)) = &started_as {
            skylift_run::use_users_of_worker(worker.number);
        }
        let relays = Arc::new(ai::Relays { node: models, limits: config.ai.run_limits() });
        let folders = RunFolders { programs: folder.sub("runs/programs")?, headers: folder.sub("runs/headers")? };
        let along = (config.build.clone(), config.keep.reserve_bytes);
        let sets = PackageSets::new(&config.runs.packages, folder.sub("packages")?, along, equipment.clone());
        let sets = Arc::new(sets);
        tasks.spawn(sets.clone().run(stop.clone()));
        let counts = (metrics.clone(), queue.usage.clone());
        let runs = Arc::new(OwnRuns::new(config, init, folders, (relays, sets), counts));
        let worker = RunWorker { queue: queue.clone(), runs: runs.clone(), name, started_as };
        worker.start(tasks, stop);
        Ok(runs)
    }
}
