//! The roles that work in the background.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use skylift_ai::Node;
use skylift_api::Runs;
use skylift_blob::Blobs;
use skylift_build::builder::Builder;
use skylift_build::equipment::Equipment;
use skylift_build::metrics::BuildMetrics;
use skylift_build::packages::PackageSets;
use skylift_bus::{Applied, Bus, Edges};
use skylift_control::cleanup::{Cleaned, Cleanup, Keep};
use skylift_control::commit::Committer;
use skylift_control::reconcile::Reconciler;
use skylift_control::run_workers::{WorkerNumbers, WorkerScaler};
use skylift_control::scaler::Scaler;
use skylift_control::worker::Queue;
use skylift_control::{deploy, reap, unfinished};
use skylift_edge::{Links, Metrics};
use skylift_model::Clock;
use skylift_queue::{Duty, Queue as RunQueue, Waiting};
use skylift_run::RunMetrics;
use skylift_sandbox::Isolation;
use skylift_store::seal::MasterKey;
use skylift_store::{JobKind, Store};
use skylift_worker::Doors;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::containers::OwnEngine;
use super::folder::DataFolder;
use super::runs::{Elsewhere, OwnRuns, RunFolders, RunWorker, WorkerProcesses, beside_rows, deliveries};
use super::secrets::MASTER_KEY_FILE;
use super::worker_of::WorkerOf;
use super::{ai, instances, leftovers};
use crate::config::Config;
use crate::roles::{Role, Roles};

/// What everything is made of.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) bus: Bus,
    pub(crate) clock: Clock,
    /// Where secrets are sealed or opened.
    pub(crate) key: Option<MasterKey>,
}

/// Where this process is, and who else is there.
pub(crate) struct Place<'p> {
    pub(crate) folder: &'p DataFolder,
    /// What this node is called.
    pub(crate) node: String,
    /// The ways into the instances of this node.
    pub(crate) doors: Doors,
    /// The way from app to app, where this process is an edge.
    pub(crate) links: Option<Links>,
    /// The edges that serve.
    pub(crate) edges: Edges,
    /// The file with the settings, where there is one.
    pub(crate) settings: Option<PathBuf>,
    /// Whose worker this process is, where the backlog has it started, and what it is told to do.
    pub(crate) worker: Option<(WorkerOf, watch::Receiver<Duty>)>,
}

/// What was started.
pub(crate) struct Started {
    tasks: JoinSet<()>,
    /// What of a sandbox's isolation this machine does not give; unknown where no sandbox is used.
    pub(crate) missing: Vec<String>,
    pub(crate) cleanup: Cleanup,
    pub(crate) keep: Keep,
    pub(crate) own: OwnThings,
    pub(crate) metrics: Metrics,
    pub(crate) builds: Option<Arc<BuildMetrics>>,
    /// Runs code that is sent.
    pub(crate) runs: Arc<dyn Runs>,
    /// Runs that outlive their request.
    pub(crate) runs_queue: RunQueue,
    pub(crate) run_metrics: Arc<RunMetrics>,
    /// What is seen of the queue of runs and of its workers, where they are scaled.
    pub(crate) worker_numbers: Option<Arc<WorkerNumbers>>,
    /// Whether code is run by this process, or handed on.
    pub(crate) runs_here: bool,
    /// Answers for models.
    pub(crate) ai: Option<Node>,
    /// Those who wait for them, where the API is answered.
    pub(crate) waiting: Waiting,
}

/// What this process keeps outside the stores, for clean-up.
#[derive(Clone)]
pub(crate) struct OwnThings {
    /// The folder for builds in progress, layers and caches.
    builds: std::path::PathBuf,
    engine: Option<OwnEngine>,
}

/// Who is told when to stop.
pub(crate) struct Stops {
    /// All who take work.
    pub(crate) work: watch::Receiver<bool>,
    /// Those who run instances, which answer until the edge has none of their requests left.
    pub(crate) instances: watch::Receiver<bool>,
}

/// Starts the workers of these roles. What an earlier process left behind is put in order first.
pub(crate) async fn start(
    core: &Core,
    config: &Config,
    roles: &Roles,
    place: Place<'_>,
    metrics: Metrics,
    Stops { work: stop, instances: instances_stop }: Stops,
) -> anyhow::Result<Started> {
    let Place { folder, node, doors, links, edges, settings, worker: started_as } = place;
    let Core { store, blobs, bus, clock, .. } = core.clone();
    leftovers::remove(folder.path());
    let own = OwnThings { builds: folder.sub("builds")?, engine: OwnEngine::of(config, &node) };
    let queue = Queue { store: store.clone(), bus: bus.clone(), clock: clock.clone() };
    if roles.has(Role::Deploy) {
        reap::after_restart(&queue).await.context("take back what an earlier process held")?;
    }
    let isolation = if roles.use_sandboxes() { Some(look_at_isolation().await?) } else { None };
    let keep = Keep {
        deployments: config.keep.deployments,
        bytes: config.keep.bytes,
        grace: Duration::from_secs(config.keep.unnamed_seconds),
    };
    let runs_queue = RunQueue::new(store.clone(), blobs.clone(), bus.clone(), clock.clone());
    let runs_queue = beside_rows(runs_queue, config)?;
    let cleanup = Cleanup { store, blobs: blobs.clone(), bus, clock };

    let mut tasks = JoinSet::new();
    let mut builds = None;
    let mut runs: Option<Arc<dyn Runs>> = None;
    let run_metrics = Arc::new(RunMetrics::default());
    // Runs ask where they run, whoever else may answer for models.
    let node_of_models = match roles.has(Role::Ai) || roles.has(Role::Work) {
        true => Some(ai::node(core, config, &mut tasks, instances_stop.clone())?),
        false => None,
    };
    if roles.has(Role::Ai) {
        ai::look_at_name(&queue.store).await;
    }
    let equipment = Arc::new(Equipment::new(config.build.client.clone(), folder.sub("toolchains")?));
    if let (true, Some(isolation)) = (roles.has(Role::Build), &isolation) {
        let builder = Arc::new(builder(core, config, &own, isolation, equipment.clone())?);
        builds = Some(builder.metrics.clone());
        start_builders(&mut tasks, &queue, &builder, config.build.concurrency(), &stop);
    }
    if roles.has(Role::Upload) {
        let repositories = folder.sub("git")?;
        tasks.spawn(Committer { queue: queue.clone(), blobs, repositories }.run(stop.clone()));
    }
    if let (true, Some(isolation)) = (roles.has(Role::Work), &isolation) {
        let init = instances::init();
        if let Some((worker, _)) = &started_as {
            skylift_run::use_users_of_worker(worker.number);
        }
        if let Some(models) = &node_of_models {
            let relays = Arc::new(ai::Relays { node: models.clone(), limits: config.ai.run_limits() });
            let folders = RunFolders { programs: folder.sub("runs/programs")?, headers: folder.sub("runs/headers")? };
            let along = (config.build.clone(), config.keep.reserve_bytes);
            let sets = folder.sub("packages")?;
            let sets = Arc::new(PackageSets::new(&config.runs.packages, sets, along, equipment.clone()));
            tasks.spawn(sets.clone().run(stop.clone()));
            let counts = (run_metrics.clone(), runs_queue.usage.clone());
            let own_runs = Arc::new(OwnRuns::new(config, init.clone(), folders, (relays, sets), counts));
            let (name, queue) = (node.clone(), runs_queue.clone());
            let worker = RunWorker { queue, runs: own_runs.clone(), name, started_as: started_as.clone() };
            worker.start(&mut tasks, &stop);
            runs = Some(own_runs);
        }
        if started_as.is_none() {
            let key = core.key.clone().context("callbacks need the master key")?;
            tasks.spawn(deliveries(&runs_queue, key, config.callbacks.settings()).run(stop.clone()));
            let worker = instances::worker(core, config, folder, isolation, equipment, node.clone(), (doors, links))?;
            let worker = worker.with_init(init);
            worker.tell_node().await;
            tasks.spawn(Arc::new(worker).run(instances_stop.clone()));
        }
    }
    if roles.answer() || roles.has(Role::Work) {
        tasks.spawn(runs_queue.usage.clone().keep(instances_stop));
    }
    let mut worker_numbers = None;
    if roles.has(Role::Deploy) {
        let numbers = Arc::<WorkerNumbers>::default();
        let scaler = worker_scaler(&queue, config, folder, &node, settings, numbers.clone())?;
        worker_numbers = Some(numbers);
        tasks.spawn(scaler.run(stop.clone()));
        let drain = Duration::from_secs(config.instances.drain_seconds);
        let node = roles.has(Role::Work).then_some(node);
        let reconciler = Reconciler::new(queue.clone(), Applied::follow(&core.bus, edges), node, drain);
        tasks.spawn(reconciler.clone().run(stop.clone()));
        tasks.spawn(Scaler::new(queue.clone()).run(stop.clone()));
        tasks.spawn(deploy::run(reconciler, stop.clone()));
        tasks.spawn(reap::run(queue.clone(), stop.clone()));
        tasks.spawn(runs_queue.clone().sweep_regularly(stop.clone()));
    }
    if let (true, Some(server)) = (roles.has(Role::Api), config.database.server()) {
        let began = queue.clock.now();
        tasks.spawn(unfinished::run(queue, server, began, stop.clone()));
    }
    if roles.has(Role::Deploy) || roles.has(Role::Build) {
        let every = Duration::from_secs(config.keep.every_seconds.max(1));
        let scope = if roles.has(Role::Deploy) { Scope::Everything } else { Scope::OwnFolder };
        tasks.spawn(clean_regularly(cleanup.clone(), scope, keep, own.clone(), every, stop.clone()));
    }
    let waiting = Waiting::default();
    if roles.answer() {
        tasks.spawn(waiting.clone().run(runs_queue.clone(), stop));
    }
    let runs = runs.unwrap_or_else(|| {
        let (queue, waiting, metrics) = (runs_queue.clone(), waiting.clone(), run_metrics.clone());
        Arc::new(Elsewhere::new(queue, waiting, config.runs.limits(), metrics))
    });
    let missing = isolation.map(|isolation| isolation.missing).unwrap_or_default();
    Ok(Started {
        tasks,
        missing,
        cleanup,
        keep,
        own,
        metrics,
        builds,
        runs,
        runs_queue,
        run_metrics,
        worker_numbers,
        runs_here: roles.has(Role::Work),
        ai: node_of_models,
        waiting,
    })
}

/// Who scales the workers of runs: only looks, where none is to be started.
fn worker_scaler(
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

/// What isolation this machine gives. What an earlier process left of its own is removed before.
async fn look_at_isolation() -> anyhow::Result<Isolation> {
    let probed = tokio::task::spawn_blocking(|| {
        skylift_sandbox::cgroup::sweep_leftovers("skylift");
        skylift_sandbox::probe()
    });
    let isolation = probed.await.context("look at this machine's isolation")?;
    for missing in &isolation.missing {
        tracing::warn!(missing, "isolation is incomplete; see `skylift doctor`");
    }
    Ok(isolation)
}

fn start_builders(
    tasks: &mut JoinSet<()>,
    queue: &Queue,
    builder: &Arc<Builder>,
    count: usize,
    stop: &watch::Receiver<bool>,
) {
    for _ in 0..count {
        let (queue, builder, stop) = (queue.clone(), builder.clone(), stop.clone());
        tasks.spawn(async move {
            let stopping = stop.clone();
            let build = |lease| until_stopped(builder.clone(), lease, stopping.clone());
            queue.run(JobKind::Build, stop, build).await;
        });
    }
}

fn builder(
    core: &Core,
    config: &Config,
    own: &OwnThings,
    isolation: &Isolation,
    equipment: Arc<Equipment>,
) -> anyhow::Result<Builder> {
    let Core { store, blobs, bus, clock, key } = core.clone();
    let key = key.context("builds need the master key")?;
    let settings = config.build.clone();
    Ok(Builder {
        store,
        blobs,
        bus,
        clock,
        key,
        settings,
        equipment,
        metrics: Arc::default(),
        overlay: isolation.overlay,
        services: config.services(),
        domain: config.domain.clone(),
        images: own.engine.as_ref().map(OwnEngine::for_builds),
        folder: own.builds.clone(),
        disk_reserve_bytes: config.keep.reserve_bytes,
    })
}

/// Builds; a build still running when the process must stop is dropped, which kills it, and its job is taken up by
/// the next process.
async fn until_stopped(builder: Arc<Builder>, lease: skylift_store::Lease, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = builder.run(lease) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// One clean-up of everything: rows, blobs, and what this process keeps for apps and deployments that are gone.
pub(crate) async fn clean_once(cleanup: &Cleanup, keep: Keep, own: &OwnThings) -> anyhow::Result<Cleaned> {
    let cleaned = cleanup.run(keep).await?;
    clean_own_things(cleanup, keep, own).await?;
    Ok(cleaned)
}

/// Removes what builders keep here for apps that are gone, and images of deployments that are.
async fn clean_own_things(cleanup: &Cleanup, keep: Keep, own: &OwnThings) -> anyhow::Result<Cleaned> {
    let slots = cleanup.store.apps().await?.iter().map(|app| app.slot).collect();
    let folder = own.builds.clone();
    tokio::task::spawn_blocking(move || Builder::sweep(&folder, &slots)).await.context("remove unused layers")?;
    if let Some(engine) = &own.engine {
        match engine.clean(cleanup, keep.grace).await {
            Ok(0) => {}
            Ok(images) => tracing::info!(images, "removed images that nothing needs"),
            // An engine that is away must not keep the rest from being cleaned up.
            Err(error) => tracing::error!(error = format!("{error:#}"), "cannot clean up images"),
        }
    }
    Ok(Cleaned::default())
}

/// What is cleaned up regularly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Everything,
    /// What is in this process's data folder; another process does the rest.
    OwnFolder,
}

async fn clean_regularly(
    cleanup: Cleanup,
    scope: Scope,
    keep: Keep,
    own: OwnThings,
    every: Duration,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let cleaned = match scope {
            Scope::Everything => clean_once(&cleanup, keep, &own).await,
            Scope::OwnFolder => clean_own_things(&cleanup, keep, &own).await,
        };
        match cleaned {
            Ok(done) if done.deployments + done.blobs > 0 => {
                tracing::info!(deployments = done.deployments, blobs = done.blobs, bytes = done.bytes, "cleaned up");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(error = format!("{error:#}"), "clean-up failed"),
        }
    }
}

impl Started {
    /// Waits for the workers to end what they do.
    pub(crate) async fn finish(mut self, within: Duration) {
        let ended = tokio::time::timeout(within, async { while self.tasks.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("some work did not end in time; it is taken up again at the next start");
        }
    }
}
