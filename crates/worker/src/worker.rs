//! The loop: what rows say is to run here, and what does.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skylift_blob::Blobs;
use skylift_bus::{Bus, Message, Received, SEEN_MAX};
use skylift_durable::{Defence, left_out};
use skylift_egress::Policy;
use skylift_model::endpoint::Endpoint;
use skylift_model::instance_type::{Capacity, InstanceType};
use skylift_model::net::NetRules;
use skylift_model::service::Services;
use skylift_model::wire::NetTold;
use skylift_model::{AppName, Clock, InstanceId, InstanceState, Program, Template, Timestamp, chain};
use skylift_sandbox::{InitFile, Mount};
use skylift_store::seal::MasterKey;
use skylift_store::{End, InstanceInput, Store, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::books::Books;
use crate::containers::Containers;
use crate::doors::Doors;
use crate::instance::Instance;
use crate::layer::Layers;
use crate::links::Apps;
use crate::meters::Meters;
use crate::sweep::Sweeping;
use crate::volumes::Volumes;

/// How often the rows are looked at without having been woken.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often the use of processors is told.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

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
    /// How long a release command may take.
    pub release: Duration,
    /// How long a command of its owner's may take.
    pub one_off: Duration,
    /// What instances may reach.
    pub egress: Policy,
    /// What each volume may hold.
    pub volume_bytes: u64,
    /// What the owner opens to apps that link it.
    pub services: Services,
    /// The owner's server of databases for apps.
    pub databases: Option<Endpoint>,
    /// The domain that apps have their names below, for the Host field of health checks.
    pub domain: String,
    /// What the instances of this node may use together.
    pub node: Capacity,
}

impl Settings {
    /// With what a template says of how much an instance may use.
    pub(crate) fn for_template(self, template: Option<&Template>) -> Self {
        let Some(InstanceType { memory_bytes, cpu_millicores, .. }) = template.map(|template| &template.instance)
        else {
            return self;
        };
        Self { memory_bytes: *memory_bytes, cpu_millicores: *cpu_millicores, ..self }
    }
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
    /// What runs images, where the owner names an engine.
    pub containers: Option<Containers>,
    pub doors: Doors,
    /// The way to other apps, where this process has an edge.
    pub apps: Option<Arc<dyn Apps>>,
    /// What becomes the sandboxes of instances, where it is not this executable.
    pub init: Option<InitFile>,
    /// When this process began to run instances.
    began: Timestamp,
    /// The folder for what instances write.
    pub(crate) folder: PathBuf,
    pub(crate) layers: Layers,
    pub(crate) volumes: Volumes,
    pub(crate) meters: Meters,
    pub(crate) books: Books,
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
    instances: HashMap<InstanceId, Told>,
    tasks: JoinSet<InstanceId>,
    sweeping: Sweeping,
}

/// What an instance is told while it runs.
struct Told {
    stop: watch::Sender<bool>,
    /// The rules for its network that were set by command.
    rules: watch::Sender<NetRules>,
}

impl Worker {
    /// One that keeps its files in `folder`, and what outlives instances in `volumes`.
    pub fn new(
        parts: Parts,
        node: String,
        settings: Settings,
        runtime: Arc<dyn Runtime>,
        overlay: bool,
        doors: Doors,
        (folder, volumes): (PathBuf, PathBuf),
    ) -> Self {
        let Parts { store, blobs, bus, clock, key } = parts;
        let layers = Layers::new(folder.join("layers"), blobs.clone());
        // What instances of an earlier process wrote ended with them.
        let _ = skylift_sandbox::remove_tree(&folder.join("instances"));
        let began = clock.now();
        Self {
            began,
            store,
            blobs,
            bus,
            clock,
            key,
            node,
            settings,
            runtime,
            overlay,
            containers: None,
            doors,
            apps: None,
            init: None,
            folder,
            layers,
            volumes: Volumes::new(volumes),
            meters: Meters::default(),
            books: Books::default(),
        }
    }

    /// The same, with an engine for images.
    pub fn with_containers(self, containers: Option<Containers>) -> Self {
        Self { containers, ..self }
    }

    /// The same, with a way to other apps.
    pub fn with_apps(self, apps: Option<Arc<dyn Apps>>) -> Self {
        Self { apps, ..self }
    }

    /// The same, with a smaller executable than this one to become sandboxes.
    pub fn with_init(self, init: Option<InitFile>) -> Self {
        Self { init, ..self }
    }

    /// Tells what the instances of this node may use together, before anybody plans one.
    pub async fn tell_node(&self) {
        let told = self.store.set_node(self.node.clone(), self.settings.node, self.clock.now());
        if let Err(error) = told.await {
            tracing::warn!(error = %chain(&error), "cannot tell what this node has");
        }
    }

    /// Works until told to stop; then stops every instance.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut messages = self.bus.subscribe();
        if let Some(containers) = &self.containers {
            tokio::spawn(containers.clone().sweep());
        }
        let mut running = Running::default();
        let mut look = true;
        // By its own clock: messages that concern nobody here must not put it off.
        let mut looking = tokio::time::interval(LOOK_EVERY);
        let mut measuring = tokio::time::interval(MEASURE_EVERY);
        measuring.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow() {
            if look {
                match self.store.instances_on(self.node.clone()).await {
                    Ok(rows) => self.look(rows, &mut running).await,
                    Err(error) => tracing::error!(error = %chain(&error), "cannot tell which instances to run"),
                }
            }
            look = tokio::select! {
                received = messages.next() => match received {
                    Received::Message(Message::NetAsked(app)) => {
                        self.tell_net(app);
                        false
                    }
                    received => matches!(received, Received::Message(Message::InstancesChanged(_)) | Received::Missed),
                },
                Some(ended) = running.tasks.join_next(), if !running.tasks.is_empty() => {
                    if let Ok(id) = ended {
                        running.instances.remove(&id);
                    }
                    running.sweeping.is_due();
                    true
                }
                _ = looking.tick() => {
                    running.sweeping.look(&self);
                    running.sweeping.remove_volumes(&self);
                    true
                }
                _ = measuring.tick() => {
                    self.tell_used();
                    false
                }
                _ = stop.wait_for(|stop| *stop) => false,
            };
        }
        for told in running.instances.values() {
            let _ = told.stop.send(true);
        }
        while running.tasks.join_next().await.is_some() {}
    }

    fn tell_net(&self, app: AppName) {
        let owner = self.settings.egress.owner_allowed.iter().map(ToString::to_string).collect();
        let told = NetTold { owner, seen: self.books.read(&app) };
        if let Ok(json) = serde_json::to_string(&told) {
            self.bus.publish(Message::NetTold(app, self.node.clone(), json));
        }
    }

    fn tell_used(&self) {
        let used = self.meters.used(Instant::now());
        for some in used.chunks(SEEN_MAX) {
            self.bus.publish(Message::Used(self.node.clone(), some.to_vec()));
        }
    }

    /// Starts what is to run and does not; stops what runs and is not to.
    async fn look(self: &Arc<Self>, rows: Vec<InstanceInput>, running: &mut Running) {
        running.instances.iter().filter(|(id, _)| !rows.iter().any(|row| row.instance.id == **id)).for_each(
            |(_, told)| {
                let _ = told.stop.send(true);
            },
        );
        for input in rows {
            let id = input.instance.id.clone();
            if let Some(told) = running.instances.get(&id) {
                told.rules.send_if_modified(|rules| std::mem::replace(rules, input.net.clone()) != input.net);
            }
            match (input.instance.state, running.instances.get(&id)) {
                // At most once: whether it had begun when an earlier process ended is not known.
                (_, None) if input.instance.command.is_some() && input.instance.created_at < self.began => {
                    let reason = Some("cut off: the platform was restarted".to_owned());
                    self.ended(&input.instance.app, id, End { reason, exit_code: None }).await;
                }
                (InstanceState::Starting, None) => {
                    let (told, stop) = watch::channel(false);
                    let (set, rules) = watch::channel(input.net.clone());
                    running.instances.insert(id.clone(), Told { stop: told, rules: set });
                    let worker = self.clone();
                    running.tasks.spawn(async move {
                        Instance::new(worker, input, rules).live(stop).await;
                        id
                    });
                }
                (InstanceState::Stopping, Some(told)) => {
                    let _ = told.stop.send(true);
                }
                // Those of an earlier process ended with it.
                (InstanceState::Ready | InstanceState::Draining | InstanceState::Stopping, None)
                    if !left_out(Defence::LastRites) =>
                {
                    self.ended(&input.instance.app, id, End::default()).await;
                }
                _ => {}
            }
        }
    }

    /// Tells that an instance runs no longer; insists, for nobody else knows.
    pub(crate) async fn ended(&self, app: &skylift_model::AppName, id: InstanceId, end: End) {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.store.instance_ended(id.clone(), end.clone(), self.clock.now()).await {
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
