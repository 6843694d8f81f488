//! The loop: what rows say is to run here, and what does.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use skylift_blob::Blobs;
use skylift_bus::{Bus, Message, Received};
use skylift_egress::Policy;
use skylift_model::{Clock, InstanceId, InstanceState, Program, chain};
use skylift_sandbox::Mount;
use skylift_store::seal::MasterKey;
use skylift_store::{InstanceInput, Store, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::doors::Doors;
use crate::instance::Instance;
use crate::layer::Layers;

/// How often the rows are looked at without having been woken.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The tools that a program needs, as its instances see them.
#[derive(Clone, Debug, Default)]
pub struct Tools {
    /// Where they lie, inside.
    pub mounts: Vec<Mount>,
    /// Folders for `PATH`, inside.
    pub path: Vec<String>,
}

/// Tools on their way; an error is in words.
pub type RuntimeFuture<'r> = Pin<Box<dyn Future<Output = Result<Tools, String>> + Send + 'r>>;

/// Where the tools of a program come from.
pub trait Runtime: Send + Sync {
    /// The tools that a program was built with.
    fn tools<'r>(&'r self, program: &'r Program) -> RuntimeFuture<'r>;
}

/// What instances may use.
#[derive(Clone, Debug)]
pub struct Settings {
    pub memory_bytes: u64,
    /// Thousandths of a CPU.
    pub cpu_millicores: u32,
    pub pids: u32,
    /// What an instance may write below its files.
    pub disk_bytes: u64,
    /// How long after SIGTERM comes SIGKILL.
    pub grace: Duration,
    /// What instances may reach.
    pub egress: Policy,
    /// The domain that apps have their names below, for the Host field of health checks.
    pub domain: String,
}

/// Runs the instances of one node.
pub struct Worker {
    pub store: Store,
    pub blobs: Blobs,
    pub bus: Bus,
    pub clock: Clock,
    pub key: MasterKey,
    pub node: String,
    pub settings: Settings,
    pub runtime: Arc<dyn Runtime>,
    /// Whether overlays can be mounted; without, programs find their own files read-only.
    pub overlay: bool,
    pub doors: Doors,
    /// The folder for what instances write.
    pub(crate) folder: PathBuf,
    pub(crate) layers: Layers,
}

/// What a worker is made of.
pub struct Parts {
    pub store: Store,
    pub blobs: Blobs,
    pub bus: Bus,
    pub clock: Clock,
    pub key: MasterKey,
}

/// The instances that run.
#[derive(Default)]
struct Running {
    /// Each with what tells it to stop.
    instances: HashMap<InstanceId, watch::Sender<bool>>,
    tasks: JoinSet<InstanceId>,
}

impl Worker {
    /// One that keeps its files in `folder`.
    pub fn new(
        parts: Parts,
        node: String,
        settings: Settings,
        runtime: Arc<dyn Runtime>,
        overlay: bool,
        doors: Doors,
        folder: PathBuf,
    ) -> Self {
        let Parts { store, blobs, bus, clock, key } = parts;
        let layers = Layers::new(folder.join("layers"), blobs.clone());
        // What instances of an earlier process wrote ended with them.
        let _ = skylift_sandbox::remove_tree(&folder.join("instances"));
        Self { store, blobs, bus, clock, key, node, settings, runtime, overlay, doors, folder, layers }
    }

    /// Works until told to stop; then stops every instance.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut messages = self.bus.subscribe();
        let mut running = Running::default();
        let mut look = true;
        // By its own clock: messages that concern nobody here must not put it off.
        let mut looking = tokio::time::interval(LOOK_EVERY);
        while !*stop.borrow() {
            if look {
                match self.store.instances_on(self.node.clone()).await {
                    Ok(rows) => self.look(rows, &mut running).await,
                    Err(error) => tracing::error!(error = %chain(&error), "cannot tell which instances to run"),
                }
            }
            look = tokio::select! {
                received = messages.next() => matches!(received, Received::Message(Message::InstancesChanged(_)) | Received::Missed),
                Some(ended) = running.tasks.join_next(), if !running.tasks.is_empty() => {
                    if let Ok(id) = ended {
                        running.instances.remove(&id);
                    }
                    true
                }
                _ = looking.tick() => true,
                _ = stop.wait_for(|stop| *stop) => false,
            };
        }
        for told in running.instances.values() {
            let _ = told.send(true);
        }
        while running.tasks.join_next().await.is_some() {}
    }

    /// Starts what is to run and does not; stops what runs and is not to.
    async fn look(self: &Arc<Self>, rows: Vec<InstanceInput>, running: &mut Running) {
        running.instances.iter().filter(|(id, _)| !rows.iter().any(|row| row.instance.id == **id)).for_each(
            |(_, told)| {
                let _ = told.send(true);
            },
        );
        for input in rows {
            let id = input.instance.id.clone();
            match (input.instance.state, running.instances.get(&id)) {
                (InstanceState::Starting, None) => {
                    let (told, stop) = watch::channel(false);
                    running.instances.insert(id.clone(), told);
                    let worker = self.clone();
                    running.tasks.spawn(async move {
                        Instance::new(worker, input).live(stop).await;
                        id
                    });
                }
                (InstanceState::Stopping, Some(told)) => {
                    let _ = told.send(true);
                }
                // Those of an earlier process ended with it.
                (InstanceState::Ready | InstanceState::Draining | InstanceState::Stopping, None) => {
                    self.ended(&input.instance.app, id, None).await;
                }
                _ => {}
            }
        }
    }

    /// Tells that an instance runs no longer; insists, for nobody else knows.
    pub(crate) async fn ended(&self, app: &skylift_model::AppName, id: InstanceId, reason: Option<String>) {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.store.instance_ended(id.clone(), reason.clone(), self.clock.now()).await {
                Ok(()) | Err(StoreError::NotFound(_)) => break,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::error!(instance.id = %id, error = %chain(&error), "cannot tell that an instance ended")
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_EVERY);
        }
        self.bus.publish(Message::RoutesChanged(app.clone()));
        self.bus.publish(Message::InstancesChanged(app.clone()));
    }
}
