//! `skylift up`: all roles in one process.
//!
//! 1. settings, every mistake told, nothing bound · 2. the data folder, ours alone · 3. stores · 4. edge and API ·
//! 5. workers · 6. `ready` · on SIGTERM or SIGINT: stop taking work, drain, end.

mod folder;
mod secrets;
mod services;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use skylift_blob::{BlobError, Blobs};
use skylift_bus::Bus;
use skylift_edge::{Edge, EdgeConfig, Metrics, Stores};
use skylift_store::{Store, StoreError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::{NotUp, UpArgs};
use crate::config::{Config, data_folder};
use folder::DataFolder;

/// How long workers may take to end what they do, once told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(12);

/// By how much the edge's threads go before all others, as `nice` counts: about three times their share of a busy CPU.
const BEHIND_THE_EDGE: i32 = 5;

/// Starts the platform and stays until it is told to stop.
pub(crate) fn run(arguments: UpArgs) -> Result<(), NotUp> {
    crate::logging::start();
    skylift_sandbox::give_freed_memory_back();
    let (config, folder) = prepare(&arguments).map_err(NotUp::Refused)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(threads()).enable_all().on_thread_start(let_the_edge_go_first).build();
    let served = match runtime {
        Ok(runtime) => {
            let served = runtime.block_on(serve(config, &folder));
            // What still blocks (a sandbox being killed) must not keep the process.
            runtime.shutdown_timeout(Duration::from_secs(1));
            served
        }
        Err(error) => Err(error.into()),
    };
    served.map_err(NotUp::Failed)
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

fn prepare(arguments: &UpArgs) -> anyhow::Result<(Config, DataFolder)> {
    let path = data_folder(arguments.data.as_deref())?;
    let mut config = Config::load(arguments.config.as_deref(), &path)?;
    if let Some(listen) = arguments.listen {
        config.listen = listen;
    }
    if let Some(domain) = &arguments.domain {
        config.domain.clone_from(domain);
    }
    Ok((config, DataFolder::claim(path)?))
}

async fn serve(config: Config, folder: &DataFolder) -> anyhow::Result<()> {
    let clock = crate::clock::system();
    let store = open_store(&config, folder).await.context("open the database")?;
    tracing::info!(store = %store, "rows");
    let blobs = open_blobs(&config, folder).await.context("open the blob store")?;
    let bus = Bus::open(&config.bus).context("open the bus")?;
    let secrets = secrets::load_or_create(folder, &store, &clock).await?;
    let metrics = Metrics::default();

    let services = services::Late::default();
    let routes = Arc::new(services::StoreRoutes(store.clone()));
    let stores = Stores { blobs: blobs.clone(), bus: bus.clone(), routes };
    let mut edge_config = EdgeConfig::new(config.listen, &config.domain, folder.path().join("routes.json"));
    config.edge.apply(&mut edge_config);
    edge_config.access = crate::logging::access_log();
    let edge = Edge::bind(edge_config, stores, services.control_plane(), metrics.clone()).await;
    let edge = edge.context("start (is another program on this address? --listen chooses another one)")?;
    let urls = config.urls(edge.local_addr());

    let core = workers::Core { store, blobs, bus, clock, key: secrets.master_key };
    let (stop, stopped) = watch::channel(false);
    let started = workers::start(&core, &config, folder, metrics, stopped).await?;
    let built = services::build(&core, &config, folder, urls.clone(), &started).await?;
    services.fill(skylift_api::router(Arc::new(built)));

    let told_to_stop = stop_signal()?;
    folder.write_listen(&urls.platform())?;
    announce(&urls.platform());
    let draining = stop.clone();
    edge.run(async move {
        told_to_stop.await;
        tracing::info!("stopping");
        let _ = draining.send(true);
    })
    .await;
    started.finish(STOP_WITHIN).await;
    tracing::info!("stopped");
    Ok(())
}

/// Bytes: in the data folder, or in an object store with the data folder as its cache.
async fn open_store(config: &Config, folder: &DataFolder) -> Result<Store, StoreError> {
    match config.store.url() {
        None => Store::open(&folder.path().join("skylift.db")),
        Some(url) => Store::connect(url).await,
    }
}

async fn open_blobs(config: &Config, folder: &DataFolder) -> Result<Blobs, BlobError> {
    match &config.blob.s3 {
        None => Blobs::open(&folder.path().join("blobs")),
        Some(s3) => Blobs::open_s3(s3.clone(), &folder.path().join("blob-cache")).await,
    }
}

#[expect(clippy::print_stdout, reason = "scripts wait for this line")]
fn announce(url: &str) {
    println!("ready {url}");
    let _ = std::io::Write::flush(&mut std::io::stdout());
    tracing::info!(url, "ready");
}

/// Listens for the signals at once; waits for the first of them later.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
