//! A build: fetch → detect → tools → install → build → test → output → artifact.
//!
//! Every step may be killed and done again. Nothing a build made counts before the one transaction that sets the
//! artifact and queues the deploy, fenced by the job's lease.

mod commands;
mod fetch;
mod image;
mod listing;
mod lost;
mod outcome;
mod output;
mod planned;
mod program;
mod receive;
mod script;
mod site;
mod steps;
mod variables;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use skylift_blob::Blobs;
use skylift_bus::{Bus, Message};
use skylift_model::environment::Environment;
use skylift_model::manifest::DOCUMENT_BYTES_MAX;
use skylift_model::plan::ProjectKind;
use skylift_model::service::Services;
use skylift_model::source::Source;
use skylift_model::{AppName, Clock, DeploymentId, Digest, Manifest, chain};
use skylift_store::seal::MasterKey;
use skylift_store::{BuildInput, Lease, Store, StoreError};
use tokio::sync::watch;

use crate::blob_sink::is_away;
use crate::client::Client;
use crate::equipment::{Equipment, Found};
use crate::metrics::{BuildMetrics, BuildResult};
use crate::settings::BuildSettings;
use outcome::{Stop, failure};
use skylift_log::{Keep, Log, Mask};

pub use image::ImageBuilder;

/// How long a lease is held, and how often it is renewed.
const LEASE: Duration = Duration::from_secs(30);
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// The first uid of builds; each app has its own from here on.
const UID_BASE: u32 = 200_000;

/// What builders work with.
pub struct Builder {
    pub store: Store,
    pub blobs: Blobs,
    pub bus: Bus,
    pub clock: Clock,
    pub key: MasterKey,
    pub settings: BuildSettings,
    pub equipment: Arc<Equipment>,
    pub metrics: Arc<BuildMetrics>,
    /// Whether overlays can be mounted, so that dependency layers can be kept.
    pub overlay: bool,
    /// What the owner opens to apps: a link to anything else is refused.
    pub services: Services,
    /// The domain below which apps have their names, which no rule of an app opens.
    pub domain: String,
    /// What builds images, where the owner names an engine.
    pub images: Option<ImageBuilder>,
    /// The folder for builds in progress, layers and caches.
    pub folder: PathBuf,
    /// What the disk must have left, in bytes.
    pub disk_reserve_bytes: u64,
}

/// One build in progress.
pub(crate) struct Build<'a> {
    builder: &'a Builder,
    lease: Lease,
    input: BuildInput,
    log: Log,
    cancel: watch::Receiver<bool>,
    /// The app's variables. They are secrets: masked in the log.
    env: Vec<(String, String)>,
    /// The commit of a Git source, once it is known.
    commit: OnceLock<String>,
}

impl Builder {
    /// Does one build job to its end. Never fails: what goes wrong is the deployment's failure, or another attempt.
    pub async fn run(self: &Arc<Self>, lease: Lease) {
        let Ok(id) = lease.subject.parse::<DeploymentId>() else {
            // Nobody can do that: it is put aside at once, not when its lease has run out again and again.
            let _ = self.store.retry(lease, "its subject is no deployment".to_owned(), self.clock.now()).await;
            return;
        };
        let input = match self.store.begin_build(lease.clone(), self.clock.now()).await {
            Ok(input) => input,
            Err(error) => return self.gave_up(&lease, &id, error.into()).await,
        };
        self.bus.publish(Message::DeploymentChanged(id.clone()));
        let (lost, cancel) = watch::channel(false);
        let holding = tokio::spawn(hold(self.clone(), lease.clone(), id.clone(), lost));
        let began = self.clock.now();
        let ended = self.attempt(lease.clone(), input, cancel).await;
        holding.abort();
        let result = match ended {
            Ok(()) => BuildResult::Built,
            Err(Stop::Failed(failure)) => {
                tracing::info!(deployment.id = %id, step = failure.step, message = failure.message, "build failed");
                match self.store.fail_deployment(lease, failure, self.clock.now()).await {
                    Ok(()) | Err(StoreError::Fenced) => {}
                    Err(error) => tracing::error!(deployment.id = %id, error = chain(&error), "cannot end a build"),
                }
                BuildResult::Failed
            }
            Err(Stop::Cancelled) => BuildResult::Cancelled,
            Err(Stop::Fault(error)) => {
                self.gave_up(&lease, &id, error).await;
                BuildResult::Fault
            }
        };
        let duration = self.clock.now().since(began);
        self.metrics.count(result, duration);
        tracing::info!(deployment.id = %id, result = result.as_str(), duration_ms = duration.as_millis() as u64, "build ended");
        self.bus.publish(Message::DeploymentChanged(id));
        self.bus.publish(Message::JobReady);
    }

    /// Our own fault: the job is tried again, or given up.
    async fn gave_up(&self, lease: &Lease, id: &DeploymentId, error: anyhow::Error) {
        let text = format!("{error:#}");
        if matches!(error.downcast_ref(), Some(StoreError::Fenced)) {
            return;
        }
        tracing::error!(deployment.id = %id, attempt = lease.attempt, error = text, "build attempt failed");
        // The rows, too: a table that somebody works on for minutes, say, ends no build that was accepted.
        if error.chain().any(|cause| is_away(cause) || matches!(cause.downcast_ref(), Some(StoreError::Unavailable(_))))
        {
            let _ = self.store.postpone(lease.clone(), text, self.clock.now()).await;
            return;
        }
        if let Ok(true) = self.store.retry(lease.clone(), text, self.clock.now()).await {
            let abandoned = failure("build", "the platform tried several times and could not finish");
            let _ = self.store.fail_abandoned(id.clone(), abandoned, self.clock.now()).await;
        }
    }

    /// Removes layers and caches of apps that are gone. `slots` are the numbers of those that are not; higher numbers
    /// may belong to apps made since they were read, and are left alone.
    pub fn sweep(folder: &std::path::Path, slots: &std::collections::HashSet<u64>) {
        for kind in ["layers", "caches"] {
            for entry in std::fs::read_dir(folder.join(kind)).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let slot = name.to_str().and_then(|name| name.strip_prefix("app-")?.parse().ok());
                let newest = slots.iter().max().copied().unwrap_or(0);
                if slot.is_some_and(|slot: u64| slot < newest && !slots.contains(&slot)) {
                    let _ = skylift_sandbox::remove_tree(&entry.path());
                }
            }
        }
    }

    async fn attempt(&self, lease: Lease, input: BuildInput, cancel: watch::Receiver<bool>) -> Result<(), Stop> {
        let env = self.open_env(&input)?;
        let secrets = env.iter().map(|(_, value)| value.clone()).chain(self.git_secrets(&input)?);
        let id = input.deployment.id.clone();
        let (log, writer) =
            Log::start(self.store.clone(), self.bus.clone(), self.clock.clone(), id, Mask::new(secrets), Keep::First);
        let commit =
            input.deployment.source.commit().map_or_else(OnceLock::new, |hash| OnceLock::from(hash.to_owned()));
        let mut build = Build { builder: self, lease, input, log, cancel, env, commit };
        let mut ended = match build.run().await.map_err(Stop::naming_a_full_disk) {
            Ok(built) => Ok(built),
            Err(stop) => Err(build.naming_what_is_lost(stop).await),
        };
        if let Err(Stop::Failed(failure)) = &mut ended {
            // It may quote the build's own words, such as the name of a file.
            failure.message = build.log.clean(&failure.message);
            failure.hint = failure.hint.as_deref().map(|hint| build.log.clean(hint));
            build.log.say(&failure.step, format!("failed: {}", failure.message)).await;
        }
        drop(build);
        // Every line is stored before the deployment settles, or a follower would miss the last ones.
        writer.finish().await;
        ended?.commit(self).await
    }

    fn open_env(&self, input: &BuildInput) -> Result<Vec<(String, String)>, Stop> {
        Ok(variables_of(self.open(&input.deployment.app, input.env.as_deref())?))
    }

    fn open(&self, app: &AppName, sealed: Option<&[u8]>) -> Result<Environment, Stop> {
        let Some(sealed) = sealed else { return Ok(Environment::default()) };
        let opened = self.key.open(&format!("env/{app}"), sealed).context("open the environment")?;
        Ok(serde_json::from_slice(&opened).context("read the environment")?)
    }
}

/// A build that went well and waits to be committed.
struct Built {
    lease: Lease,
    artifact: Digest,
}

impl Built {
    async fn commit(self, builder: &Builder) -> Result<(), Stop> {
        Ok(builder.store.finish_build(self.lease, self.artifact, builder.clock.now()).await?)
    }
}

impl Build<'_> {
    async fn run(&mut self) -> Result<Built, Stop> {
        let (digest, manifest) = self.source().await?;
        self.name_list("output", &digest).await?;
        let plan = self.plan(&manifest).await?;
        self.complete_variables(&plan).await?;
        let artifact = match plan.kind {
            ProjectKind::Static | ProjectKind::NodeStatic => self.site(&manifest, &plan).await?,
            ProjectKind::Dockerfile => self.named_program(self.build_image(&manifest, &plan).await?).await?,
            _ => self.named_program(self.build_program(&manifest, &plan).await?).await?,
        };
        Ok(Built { lease: self.lease.clone(), artifact })
    }

    async fn named_program(&self, (artifact, files): (Digest, Digest)) -> Result<Digest, Stop> {
        self.name_list("build", &files).await?;
        Ok(artifact)
    }

    /// The source's files; a Git source is cloned first.
    async fn source(&self) -> Result<(Digest, Manifest), Stop> {
        let Some(digest) = self.input.manifest else {
            return match &self.input.deployment.source {
                Source::Git { url, branch, .. } => self.clone_git(url, branch.as_deref()).await,
                Source::Folder | Source::Archive => Err(Stop::Fault(anyhow::anyhow!("the deployment has no source"))),
            };
        };
        let bytes = self.builder.blobs.get(&digest, DOCUMENT_BYTES_MAX).await.context("read the source's list")?;
        let bytes = bytes.context("the source's list is gone")?;
        Ok((digest, serde_json::from_slice(&bytes).context("read the source's list")?))
    }

    /// Makes a stored list of files readable in the object store itself, under the deployment's id.
    async fn name_list(&self, folder: &str, digest: &Digest) -> Result<(), Stop> {
        let key = format!("{folder}/{}/manifest.json", self.input.deployment.id);
        let key = key.parse().context("name an object")?;
        Ok(self.builder.blobs.name_object(key, digest).await.context("name a list of files")?)
    }

    /// The name of the app's own folders for layers and caches: by number, which no later app gets.
    fn own_folder(&self) -> String {
        format!("app-{}", self.input.slot)
    }

    /// How this node's package managers are set up.
    async fn client(&self) -> Result<&Client, Stop> {
        Ok(self.found().await?.client)
    }

    async fn found(&self) -> Result<Found<'_>, Stop> {
        self.builder.equipment.found().await.context("look at this machine's tools").map_err(Stop::from)
    }

    fn uid(&self) -> u32 {
        UID_BASE + u32::try_from(self.input.slot).unwrap_or(u32::MAX - UID_BASE)
    }
}

/// Keeps the lease, and tells when it is lost or the deployment is cancelled.
async fn hold(builder: Arc<Builder>, lease: Lease, id: DeploymentId, lost: watch::Sender<bool>) {
    let mut subscription = builder.bus.subscribe();
    let mut renew = tokio::time::interval(RENEW_EVERY);
    loop {
        tokio::select! {
            () = subscription.wait_for(|message| *message == Message::CancelAsked(id.clone())) => {}
            _ = renew.tick() => {}
        }
        match builder.store.renew(lease.clone(), builder.clock.now(), LEASE).await {
            Ok(()) => {}
            Err(StoreError::Fenced) => {
                let _ = lost.send(true);
                return;
            }
            Err(error) => tracing::warn!(deployment.id = %id, error = chain(&error), "cannot renew a lease"),
        }
    }
}

fn variables_of(Environment(variables): Environment) -> Vec<(String, String)> {
    variables.into_iter().map(|(name, variable)| (name.to_string(), variable.value)).collect()
}

/// A folder below another; either may be empty.
pub(crate) fn joined(folder: &str, below: &str) -> String {
    match (folder, below) {
        ("", only) | (only, "") => only.to_owned(),
        (folder, below) => format!("{folder}/{below}"),
    }
}
