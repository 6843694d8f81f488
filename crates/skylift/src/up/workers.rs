//! The roles that work in the background.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use skylift_ai::Node;
use skylift_api::Runs;
use skylift_blob::Blobs;
use skylift_build::equipment::Equipment;
use skylift_build::metrics::BuildMetrics;
use skylift_bus::{Applied, Bus, Edges};
use skylift_control::cleanup::{Cleanup, Keep};
use skylift_control::commit::Committer;
use skylift_control::reconcile::Reconciler;
use skylift_control::run_workers::WorkerNumbers;
use skylift_control::scaler::Scaler;
use skylift_control::worker::Queue;
use skylift_control::{deploy, reap, unfinished};
use skylift_edge::{Links, Metrics};
use skylift_model::Clock;
use skylift_queue::{Duty, Queue as RunQueue, Waiting};
use skylift_run::RunMetrics;
use skylift_sandbox::Isolation;
use skylift_store::Store;
use skylift_store::seal::MasterKey;
use skylift_worker::Doors;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cleaning::{OwnThings, Scope};
use super::containers::OwnEngine;
use super::folder::DataFolder;
use super::runs::{Elsewhere, deliveries};
use super::worker_of::WorkerOf;
use super::{ai, builders, cleaning, instances, leftovers, runs};
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
    let runs_queue = runs::queue(core, config, folder)?;
    let cleanup = Cleanup { store, blobs: blobs.clone(), bus, clock };

    let mut tasks = JoinSet::new();
    let mut builds = None;
    let mut own_runs: Option<Arc<dyn Runs>> = None;
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
        let builder = Arc::new(builders::builder(core, config, &own, isolation, equipment.clone())?);
        builds = Some(builder.metrics.clone());
        builders::start(&mut tasks, &queue, &builder, config.build.concurrency(), &stop);
    }
    if roles.has(Role::Upload) {
        let repositories = folder.sub("git")?;
        tasks.spawn(Committer { queue: queue.clone(), blobs, repositories }.run(stop.clone()));
    }
    if let (true, Some(isolation)) = (roles.has(Role::Work), &isolation) {
        let init = instances::init();
        if let Some(models) = node_of_models.clone() {
            let (init, name, started_as) = (init.clone(), node.clone(), started_as.clone());
            let (queue, metrics, equipment) = (&runs_queue, &run_metrics, &equipment);
            let here = runs::Here { config, folder, queue, metrics, equipment, init, models, name, started_as };
            own_runs = Some(here.start(&mut tasks, &stop)?);
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
        let scaler = runs::scaler(&queue, config, folder, &node, settings, numbers.clone())?;
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
        tasks.spawn(cleaning::regularly(cleanup.clone(), scope, keep, own.clone(), every, stop.clone()));
    }
    let waiting = Waiting::default();
    if roles.answer() {
        tasks.spawn(waiting.clone().run(runs_queue.clone(), stop));
    }
    let runs = own_runs.unwrap_or_else(|| {
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

impl Started {
    /// Waits for the workers to end what they do.
    pub(crate) async fn finish(mut self, within: Duration) {
        let ended = tokio::time::timeout(within, async { while self.tasks.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("some work did not end in time; it is taken up again at the next start");
        }
    }
}
