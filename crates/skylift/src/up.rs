//! `skylift up` and `skylift serve`: all roles in one process, or some of them.
//!
//! 1. settings, every mistake told, nothing bound · 2. the data folder, ours alone · 3. stores · 4. edge and API ·
//! 5. workers · 6. `ready` · on SIGTERM or SIGINT: stop taking work, drain, end.
//!
//! Each role starts what it needs and no more.

mod ai;
mod builders;
mod cleaning;
mod containers;
mod edge;
mod ending;
pub(crate) mod folder;
mod front;
mod hand_over;
mod instances;
mod leftovers;
pub(crate) mod presence;
mod runs;
pub(crate) mod secrets;
mod services;
mod sticky;
mod stores;
mod switching;
mod upstream;
mod vitals;
mod worker_of;
mod workers;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use skylift_bus::Bus;
use skylift_edge::{Edge, Metrics};
use skylift_worker::{Doors, end_those_before};
use tokio::sync::{oneshot, watch};

use crate::cli::{NotUp, UpArgs};
use crate::config::{Config, data_folder};
use crate::roles::{Role, Roles};
use folder::DataFolder;
use front::Front;
use presence::Presence;
use worker_of::Orders;
pub(crate) use worker_of::{NUMBER_MAX, WorkerOf};
use workers::{Core, Place, Stops};

/// How long a process that was killed may hold the data folder still: until the kernel has let go of all that it had.
const GONE_WITHIN: Duration = Duration::from_secs(2);
/// How long workers may take to end what they do, once told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(12);

/// How long instances go on beside an edge that has been told to stop: what it still has under way is theirs to answer.
const INSTANCES_GO_ON: Duration = Duration::from_secs(3);

/// By how much the edge's threads go before all others, as `nice` counts: about three times their share of a busy CPU.
const BEHIND_THE_EDGE: i32 = 5;

/// Starts these roles of the platform and stays until it is told to stop.
pub(crate) fn run(arguments: UpArgs, roles: Roles) -> Result<(), NotUp> {
    crate::logging::start();
    skylift_sandbox::give_freed_memory_back();
    if arguments.worker.is_some() && !roles.are_only(Role::Work) {
        let error = anyhow::anyhow!("--worker is for the role `work` alone");
        return Err(NotUp::Refused(error));
    }
    let (config, folder, given) = prepare(&arguments, &roles).map_err(not_up(NotUp::Refused))?;
    let own = Own { settings: config_file(&arguments, &folder), worker: arguments.worker };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // What was started by another process of the platform goes behind its edge already.
    let start = if own.worker.is_some() { || {} } else { let_the_edge_go_first };
    let runtime = runtime.worker_threads(threads()).enable_all().on_thread_start(start).build();
    let served = match runtime {
        Ok(runtime) => {
            let served = runtime.block_on(serve(config, roles, &folder, given, own));
            // What still blocks (a sandbox being killed) must not keep the process.
            runtime.shutdown_timeout(Duration::from_secs(1));
            served
        }
        Err(error) => Err(error.into()),
    };
    served.map_err(not_up(NotUp::Failed))
}

/// What a process knows of itself.
struct Own {
    /// The file with its settings, where there is one.
    settings: Option<PathBuf>,
    /// Whose worker it is, where the backlog has it started.
    worker: Option<WorkerOf>,
}

fn config_file(arguments: &UpArgs, folder: &DataFolder) -> Option<PathBuf> {
    let usual = || Some(folder.path().join(crate::config::FILE_NAME)).filter(|path| path.exists());
    arguments.config.clone().or_else(usual)
}

/// Why there is no platform: what it needs is another's, or `otherwise`.
fn not_up(otherwise: fn(anyhow::Error) -> NotUp) -> impl FnOnce(anyhow::Error) -> NotUp {
    let is_taken = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::ResourceBusy))
    };
    move |error| if error.chain().any(is_taken) { NotUp::Taken(error) } else { otherwise(error) }
}

/// Serving sites has threads of its own, which this one (and what it starts) is not to keep waiting.
fn let_the_edge_go_first() {
    if let Err(error) = rustix::process::nice(BEHIND_THE_EDGE) {
        tracing::warn!(%error, "cannot lower the priority of what is not serving");
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2))
}

/// The settings, the data folder, and the socket that listens already where this process takes over from another.
fn prepare(arguments: &UpArgs, roles: &Roles) -> anyhow::Result<(Config, DataFolder, Option<TcpListener>)> {
    let path = data_folder(arguments.data.as_deref())?;
    let mut config = Config::load(arguments.config.as_deref(), &path)?;
    match arguments.listen {
        Some(listen) if roles.listen() => config.listen = listen,
        Some(listen) => config.metrics.listen = Some(listen),
        None => {}
    }
    if let Some(domain) = &arguments.domain {
        config.domain.clone_from(domain);
    }
    if !roles.are_all() {
        config.check_shared()?;
    }
    if roles.has(Role::Deploy) && config.runs.workers_max > 0 {
        config.check_shared().context("[runs] workers_max: it has processes started")?;
    }
    if arguments.worker.is_some() {
        config.metrics.listen = None;
    }
    let given = match listens_at(&config, roles).filter(|_| arguments.take_over) {
        Some(at) => hand_over::ask(&path, at)?,
        None => None,
    };
    let folder = match given {
        Some(_) => DataFolder::claim_within(path, hand_over::FREE_WITHIN)?,
        None => DataFolder::claim_within(path, GONE_WITHIN)?,
    };
    Ok((config, folder, given))
}

/// Where this process is to listen: for everybody, or for those who ask how it is; `None` for nobody.
fn listens_at(config: &Config, roles: &Roles) -> Option<SocketAddr> {
    if roles.listen() { Some(config.listen) } else { config.metrics.listen }
}

async fn serve(
    config: Config,
    roles: Roles,
    folder: &DataFolder,
    given: Option<TcpListener>,
    own: Own,
) -> anyhow::Result<()> {
    // Whoever started it may be gone at any time.
    let orders = own.worker.as_ref().map(|_| Orders::hear()).transpose()?;
    // Both at once: who serves without them waits for the slower one only.
    let (store, blobs) = tokio::join!(stores::open_store(&config, &roles, folder), stores::open_blobs(&config, folder));
    let store = store.context("open the database")?;
    let store = store.with_instance_types(config.instance_types());
    tracing::info!(store = %store, roles = %roles, "rows");
    let clock = crate::clock::of_rows(&store).await;
    let blobs = blobs.context("open the blob store")?;
    let bus = Bus::open(&config.bus).context("open the bus")?;
    let key = match roles.open_secrets() {
        true => Some(secrets::master_key(folder, config.master_key_file.as_deref(), &store).await?),
        false => None,
    };
    if roles.answer() {
        secrets::owner_token(folder, &store, &clock).await?;
    }
    let core = Core { store, blobs, bus, clock, key };
    let metrics = Metrics::default();
    let front = Front::new(&roles, &config, metrics.clone());
    let presence = match roles.has(Role::Edge) {
        true => Some(Presence::new(folder, &core.store, &core.clock)?),
        false => None,
    };
    let node = match &own.worker {
        Some(worker) => worker.name(),
        None => presence::node_name(folder)?,
    };
    if roles.has(Role::Work) && own.worker.is_none() {
        end_those_before(&core.store, &core.bus, &core.clock, &node).await;
    }
    let doors = Doors::default();
    let edge = match listens_at(&config, &roles) {
        Some(at) => {
            let mut settings = edge::settings(&config, folder, at);
            settings.listener = given.map(Arc::new);
            Some(edge::bind(settings, &core, presence.as_ref(), &front, metrics.clone(), doors.clone()).await?)
        }
        None => None,
    };

    let (stop, stopped) = watch::channel(false);
    let edge_here = presence.as_ref().map(|presence| presence.name().to_owned());
    let edges = presence::edges(&core.store, &core.clock, edge_here);
    let links = edge.as_ref().filter(|_| roles.has(Role::Edge)).map(Edge::links);
    let duty = orders.as_ref().map(|orders| orders.duty.clone());
    let Own { settings, worker } = own;
    let worker = worker.zip(duty);
    let place = Place { folder, node, doors, links, edges: edges.clone(), settings, worker };
    let (stop_instances, instances_stop) = watch::channel(false);
    let stops = Stops { work: stopped.clone(), instances: instances_stop };
    let started = workers::start(&core, &config, &roles, place, metrics, stops).await?;
    if let (true, Some(node)) = (roles.has(Role::Ai), &started.ai) {
        front.fill_ai(skylift_api::guarded(node.front(), core.store.clone(), core.bus.clone(), core.clock.clone()));
    }
    match &edge {
        Some(edge) if roles.answer() => {
            let urls = config.urls(edge.local_addr());
            let built = services::build(&core, &config, folder, urls, &started, edges, stopped.clone()).await?;
            let built = Arc::new(built);
            if config.judge0.enabled {
                front.fill_judge0(skylift_api::judge0_router(built.clone()));
            }
            front.fill_piston(skylift_api::piston_router(built.clone(), config.runs.piston.clone()));
            front.fill(skylift_api::router(built, roles.parts()));
        }
        _ => front.fill(skylift_api::vitals_router(vitals::vitals(&core, &config, folder, &started))),
    }

    let told_to_stop = ending::stop_signal()?;
    match &edge {
        Some(edge) if roles.listen() => {
            let url = config.urls(edge.local_addr()).platform();
            // Nothing that we do depends on it; a disk that is full must not keep its owner from freeing some.
            if let Err(error) = folder.write_listen(&url) {
                tracing::warn!(error = format!("{error:#}"), %url, "the command line is not told where we answer");
            }
            announce(&url);
        }
        told_at => {
            let told_at = told_at.as_ref().map(|edge| tracing::field::display(edge.local_addr()));
            tracing::info!(address = told_at, "health and metrics");
            announce(&roles.to_string());
        }
    }
    let (mut told, stop_late) = (stopped.clone(), stop_instances.clone());
    let late = tokio::spawn(async move {
        let _ = told.wait_for(|told| *told).await;
        tokio::time::sleep(INSTANCES_GO_ON).await;
        let _ = stop_late.send(true);
    });
    let present = presence.map(|presence| tokio::spawn(presence.keep(stopped)));
    let (leave, left) = oneshot::channel();
    let offer = edge.as_ref().map(|edge| ending::offer(folder, edge)).transpose()?;
    let told_to_stop = async move {
        tokio::select! {
            () = told_to_stop => {}
            () = ending::taken_over(offer, leave) => {}
            () = ending::told_to_end(orders) => {}
        }
        tracing::info!("stopping");
        let _ = stop.send(true);
        // Held until here: workers end when they are told, not when nobody is left to tell them.
    };
    match edge {
        Some(edge) => edge.run(ending::leaving(left), told_to_stop).await,
        None => told_to_stop.await,
    }
    let _ = stop_instances.send(true);
    late.abort();
    started.finish(STOP_WITHIN).await;
    if let Some(present) = present {
        let _ = present.await;
    }
    tracing::info!("stopped");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "scripts wait for this line")]
fn announce(what: &str) {
    println!("ready {what}");
    let _ = std::io::Write::flush(&mut std::io::stdout());
    tracing::info!(what, "ready");
}
