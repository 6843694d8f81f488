//! One instance, from its row to its end.
//!
//! ```text
//! prepare (volumes, layer, environment) ─▶ spawn ─▶ probe ─▶ ready ─▶ … ─▶ told to stop: SIGTERM, grace, SIGKILL
//!                                            └───────────┴──────────────▶ ended by itself, or by a limit
//! ```
//!
//! What is spawned is a sandbox, or for an image a container: [`Live`] is either.
//!
//! Only what answers requests has a door and is probed; another process is ready once it has lived for a moment.

mod astray;
mod check;
mod command;
mod contained;
mod data;
mod live;
mod network;
mod probe;
mod room;
mod sandboxed;
mod scarce;
mod symptoms;
pub(crate) mod watch_disk;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use skylift_bus::Message;
use skylift_log::{Log, Mask};
use skylift_model::environment::Environment;
use skylift_model::manifest::DOCUMENT_BYTES_MAX;
use skylift_model::net::NetRules;
use skylift_model::program::Protocol;
use skylift_model::wire::Stream;
use skylift_model::{InstanceId, Program, chain};
use skylift_store::{End, InstanceInput};
use tokio::io::AsyncRead;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::ended::{Cause, end};
use crate::environment::Named;
use crate::process::{self, Kind};
use crate::worker::{Settings, Worker};
use live::Live;
use network::PROXY_PORT;

/// The first user id of instances. Each that lives at the same time has its own.
const UID_BASE: u32 = 1_000_000;
const UIDS: u32 = 1_000_000;
/// How long a process that nobody speaks to must live to be ready.
const MOMENT: Duration = Duration::from_secs(1);

/// One instance of this node.
pub(crate) struct Instance {
    worker: Arc<Worker>,
    input: InstanceInput,
    folder: PathBuf,
    /// The node's, with what its template says.
    settings: Settings,
    /// The rules for its network that were set by command, as they are now.
    rules: watch::Receiver<NetRules>,
}

impl Instance {
    pub(crate) fn new(worker: Arc<Worker>, input: InstanceInput, rules: watch::Receiver<NetRules>) -> Self {
        let folder = worker.folder.join("instances").join(input.instance.id.as_str());
        let settings = worker.settings.clone().for_template(input.template.as_ref());
        Self { worker, input, folder, settings, rules }
    }

    fn id(&self) -> &InstanceId {
        &self.input.instance.id
    }

    fn kind(&self) -> Kind {
        Kind::of(&self.input.instance)
    }

    /// What its lines in the log are called.
    fn step(&self) -> &str {
        self.input.instance.log_step()
    }

    /// Lives until it ends or is told to stop, and says so.
    pub(crate) async fn live(self, stop: watch::Receiver<bool>) {
        let ended = match self.secrets() {
            Ok(secrets) => self.live_with(secrets, stop).await,
            Err(error) => Err(error),
        };
        let end = ended.unwrap_or_else(|error| {
            tracing::error!(instance.id = %self.id(), error = format!("{error:#}"), "an instance cannot be started");
            End { reason: Some(format!("the platform could not start it: {error:#}")), exit_code: None }
        });
        let folder = self.folder.clone();
        let _ = tokio::task::spawn_blocking(move || skylift_sandbox::remove_tree(&folder)).await;
        self.worker.ended(&self.input.instance.app, self.id().clone(), end).await;
    }

    async fn live_with(&self, secrets: Vec<(String, String)>, stop: watch::Receiver<bool>) -> anyhow::Result<End> {
        let worker = &self.worker;
        let services = self.settings.services.secrets(&self.input.instance.app);
        let databases = self.own_databases()?.into_iter().filter_map(|database| database.at);
        let passwords = databases.flat_map(|at| at.passwords());
        let mask = Mask::new(secrets.iter().map(|(_, value)| value.clone()).chain(services).chain(passwords));
        let (store, bus, clock) = (worker.store.clone(), worker.bus.clone(), worker.clock.clone());
        let (deployment, keep) = (self.input.instance.deployment.clone(), self.kind().keep());
        let (log, writer) = Log::start(store, bus, clock, deployment, mask, keep);
        let ended = self.live_logged(&secrets, &log, stop).await;
        match &ended {
            Ok(End { reason: Some(reason), .. }) => log.say(self.step(), reason).await,
            Ok(End { exit_code: Some(_), .. }) => log.say(self.step(), "done").await,
            Ok(_) => log.say(self.step(), "stopped").await,
            Err(error) => log.say(self.step(), format!("cannot be started: {error:#}")).await,
        }
        drop(log);
        writer.finish().await;
        ended
    }

    /// Returns how it ended.
    async fn live_logged(
        &self,
        secrets: &[(String, String)],
        log: &Log,
        mut stop: watch::Receiver<bool>,
    ) -> anyhow::Result<End> {
        let program = self.program().await?;
        let command = process::command(&program, &self.input.instance);
        let command = command.with_context(|| format!("its program has no process {}", self.input.instance.process))?;
        if self.kind().is_to_end() {
            log.say(self.step(), format!("$ {command}")).await;
        }
        let taken = tokio::select! {
            taken = self.take_volumes(log) => taken?,
            _ = stop.wait_for(|stop| *stop) => return Ok(End::default()),
        };
        let live = match &program.image {
            Some(image) => tokio::select! {
                live = self.start_container(image, &program, command, secrets, taken, log) => Live::Contained(live?),
                _ = stop.wait_for(|stop| *stop) => return Ok(End::default()),
            },
            None => Live::Sandboxed(self.start_sandbox(&program, command, secrets, taken, log).await?),
        };
        if let Some(door) = live.door() {
            self.worker.doors.open(self.id().clone(), door);
        }
        let mut astray = None;
        let _counted = live.unheard().map(|unheard| self.worker.books.count(&self.input.instance.app, unheard));
        let cause = tokio::select! {
            ended = live.ended() => ended.map(|()| Some(Cause::Itself))?,
            cause = live.exceeds(self.settings.disk_bytes) => Some(cause),
            () = self.time_is_up() => Some(Cause::Time),
            why = self.become_ready(&live, &program, log) => {
                astray = why;
                None
            }
            _ = stop.wait_for(|stop| *stop) => None,
        };
        if cause.is_some_and(|cause| cause != Cause::Itself) {
            live.kill().await;
        }
        if cause.is_none() {
            self.end_gently(&live).await;
        }
        self.worker.doors.close(self.id());
        self.worker.meters.remove(self.id());
        let outcome = live.finish().await?;
        let told = End { reason: astray.map(|unmet| unmet.to_string()), exit_code: None };
        Ok(cause.map_or(told, |cause| end(&outcome, cause, self.kind(), &self.settings)))
    }

    /// Returns once a command that is to end has taken longer than it may.
    async fn time_is_up(&self) {
        match self.kind() {
            Kind::Release => tokio::time::sleep(self.settings.release).await,
            Kind::OneOff => tokio::time::sleep(self.settings.one_off).await,
            Kind::Web | Kind::Worker => std::future::pending().await,
        }
    }

    /// Says that it is ready once it is. Returns only where it is to be stopped by then, or will never be: then with the reason.
    async fn become_ready(&self, live: &Live, program: &Program, log: &Log) -> Option<probe::Unmet> {
        if let Some(door) = &live.door() {
            let wanted = match (program.protocol, &program.health_path) {
                (Protocol::H2c, _) => probe::Wanted::Http2,
                (Protocol::Http1, None) => probe::Wanted::Any,
                (Protocol::Http1, Some(path)) => probe::Wanted::Good(path),
            };
            let host = self.host();
            let mut start = probe::Start::new(door, wanted, &host, live.listening(), live.meter());
            loop {
                match start.goes().await {
                    probe::Goes::Ready => break,
                    probe::Goes::On(unmet) => self.tell_unready(&unmet, log).await,
                    probe::Goes::Astray(unmet) => return Some(unmet),
                }
            }
        } else if !self.kind().is_to_end() {
            tokio::time::sleep(MOMENT).await;
        }
        loop {
            match self.worker.store.instance_ready(self.id().clone(), self.worker.clock.now()).await {
                Ok(true) => break,
                Ok(false) => return None,
                Err(error) => {
                    tracing::warn!(instance.id = %self.id(), error = %chain(&error), "cannot tell that an instance answers");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        // How busy it is decides how many there are of those that answer requests.
        if self.kind() == Kind::Web {
            let read = live.meter();
            let of = (self.input.instance.app.clone(), self.settings.cpu_millicores);
            self.worker.meters.add(self.id().clone(), of, read, Instant::now());
        }
        tracing::info!(app = %self.input.instance.app, instance.id = %self.id(), "an instance is ready");
        self.worker.bus.publish(Message::RoutesChanged(self.input.instance.app.clone()));
        self.worker.bus.publish(Message::InstancesChanged(self.input.instance.app.clone()));
        self.keep_checking(live, program, log).await;
        std::future::pending().await
    }

    /// What keeps it from being ready is in the log, and where it is looked for by whoever waits for it.
    async fn tell_unready(&self, unmet: &probe::Unmet, log: &Log) {
        log.try_say(self.step(), &format!("not ready: {unmet}"));
        match self.worker.store.instance_unready(self.id().clone(), unmet.to_string()).await {
            Ok(true) => self.worker.bus.publish(Message::InstancesChanged(self.input.instance.app.clone())),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(instance.id = %self.id(), error = %chain(&error), "cannot tell what an instance does not answer");
            }
        }
    }

    async fn end_gently(&self, live: &Live) {
        live.terminate().await;
        if timeout(self.settings.grace, live.ended()).await.is_err() {
            live.kill().await;
        }
    }

    fn secrets(&self) -> anyhow::Result<Vec<(String, String)>> {
        let Some(sealed) = &self.input.env else { return Ok(Vec::new()) };
        let context = format!("env/{}", self.input.instance.app);
        let opened = self.worker.key.open(&context, sealed).context("open the environment")?;
        let Environment(variables) = serde_json::from_slice(&opened).context("read the environment")?;
        Ok(variables.into_iter().map(|(name, variable)| (name.to_string(), variable.value)).collect())
    }

    async fn program(&self) -> anyhow::Result<Program> {
        let bytes =
            self.worker.blobs.get(&self.input.program, DOCUMENT_BYTES_MAX).await.context("read the artifact")?;
        serde_json::from_slice(&bytes.context("the artifact is gone")?).context("read the artifact")
    }

    fn named(&self) -> Named<'_> {
        let row = &self.input.instance;
        Named { app: &row.app, deployment: &row.deployment, instance: &row.id }
    }

    /// Different for all that live at the same time: ids of instances end in random bits.
    fn uid(&self) -> u32 {
        let digest = skylift_model::Digest::of(self.id().as_str().as_bytes());
        let bytes = digest.as_bytes().first_chunk::<4>().copied().unwrap_or_default();
        UID_BASE + u32::from_be_bytes(bytes) % UIDS
    }

    /// Stores what it prints until the stream ends.
    fn follow(&self, stream: Stream, end: impl AsyncRead + Send + Unpin + 'static, log: &Log) -> JoinHandle<()> {
        let (log, step) = (log.clone(), self.step().to_owned());
        tokio::spawn(async move {
            let _ = log.follow(&step, stream, end, u64::MAX).await;
        })
    }
}
