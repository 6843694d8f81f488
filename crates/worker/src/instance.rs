//! One instance, from its row to its end.
//!
//! ```text
//! prepare (layer, environment, folders) ─▶ spawn ─▶ probe ─▶ ready ─▶ … ─▶ told to stop: SIGTERM, grace, SIGKILL
//!                                            └───────────┴──────────────▶ ended by itself, or by a limit
//! ```

mod command;
mod probe;
mod watch_disk;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use skylift_bus::Message;
use skylift_egress::{Gateway, Sockets};
use skylift_log::{Keep, Log, Mask};
use skylift_model::environment::Environment;
use skylift_model::manifest::DOCUMENT_BYTES_MAX;
use skylift_model::wire::Stream;
use skylift_model::{InstanceId, Program, chain, program};
use skylift_sandbox::{Door, Limits, Mount, Network, Outcome, Output, Relay, Sandbox, Scratch, Source, Spec};
use skylift_store::InstanceInput;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::ended::{Cause, reason};
use crate::environment::{HOME, Named, PORT, environment};
use crate::worker::{Tools, Worker};

/// Where the relay's proxy answers, inside.
const PROXY_PORT: u16 = 3128;
/// The first user id of instances. Each that lives at the same time has its own.
const UID_BASE: u32 = 1_000_000;
const UIDS: u32 = 1_000_000;

/// One instance of this node.
pub(crate) struct Instance {
    worker: Arc<Worker>,
    input: InstanceInput,
    folder: PathBuf,
}

/// An instance whose process runs.
struct Live {
    sandbox: Arc<Sandbox>,
    ending: AsyncFd<OwnedFd>,
    door: Door,
    printed: [JoinHandle<()>; 2],
    _gateway: Option<Gateway>,
}

impl Instance {
    pub(crate) fn new(worker: Arc<Worker>, input: InstanceInput) -> Self {
        let folder = worker.folder.join("instances").join(input.instance.id.as_str());
        Self { worker, input, folder }
    }

    fn id(&self) -> &InstanceId {
        &self.input.instance.id
    }

    /// Lives until it ends or is told to stop, and says so.
    pub(crate) async fn live(self, stop: watch::Receiver<bool>) {
        let ended = match self.secrets() {
            Ok(secrets) => self.live_with(secrets, stop).await,
            Err(error) => Err(error),
        };
        let reason = ended.unwrap_or_else(|error| {
            tracing::error!(instance.id = %self.id(), error = format!("{error:#}"), "an instance cannot be started");
            Some(format!("the platform could not start it: {error:#}"))
        });
        let folder = self.folder.clone();
        let _ = tokio::task::spawn_blocking(move || skylift_sandbox::remove_tree(&folder)).await;
        self.worker.ended(&self.input.instance.app, self.id().clone(), reason).await;
    }

    async fn live_with(
        &self,
        secrets: Vec<(String, String)>,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Option<String>> {
        let mask = Mask::new(secrets.iter().map(|(_, value)| value.clone()));
        let worker = &self.worker;
        let (store, bus, clock) = (worker.store.clone(), worker.bus.clone(), worker.clock.clone());
        let (log, writer) = Log::start(store, bus, clock, self.input.instance.deployment.clone(), mask, Keep::Last);
        let ended = self.live_logged(&secrets, &log, stop).await;
        match &ended {
            Ok(Some(reason)) => log.say(self.id().as_str(), reason).await,
            Ok(None) => log.say(self.id().as_str(), "stopped").await,
            Err(error) => log.say(self.id().as_str(), format!("cannot be started: {error:#}")).await,
        }
        drop(log);
        writer.finish().await;
        ended
    }

    /// Returns why it ended, where it was not told to.
    async fn live_logged(
        &self,
        secrets: &[(String, String)],
        log: &Log,
        mut stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Option<String>> {
        let program = self.program().await?;
        let spec = self.spec(&program, secrets).await?;
        let live = self.start(spec, log).await?;
        self.worker.doors.open(self.id().clone(), live.door.clone());
        let cause = tokio::select! {
            ended = live.ending.readable() => ended.map(|_| Some(Cause::Itself)).context("watch an instance")?,
            () = watch_disk::exceeded(self.folder.clone(), self.worker.settings.disk_bytes) => Some(Cause::Disk),
            () = self.become_ready(&live.door, &program) => None,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        if cause == Some(Cause::Disk) {
            live.sandbox.kill();
        }
        if cause.is_none() {
            self.end_gently(&live).await;
        }
        self.worker.doors.close(self.id());
        let outcome = live.finish().await?;
        let Settings { memory_bytes, disk_bytes } = Settings::of(&self.worker);
        Ok(cause.map(|cause| reason(&outcome, cause, memory_bytes, disk_bytes)))
    }

    /// Says that it answers once it does. Returns only where it is to be stopped by then.
    async fn become_ready(&self, door: &Door, program: &Program) {
        let host = format!("{}.{}", self.input.instance.app, self.worker.settings.domain);
        probe::until_it_answers(door, program.health_path.as_deref(), &host).await;
        loop {
            match self.worker.store.instance_ready(self.id().clone(), self.worker.clock.now()).await {
                Ok(true) => break,
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(instance.id = %self.id(), error = %chain(&error), "cannot tell that an instance answers");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        tracing::info!(app = %self.input.instance.app, instance.id = %self.id(), "an instance answers");
        self.worker.bus.publish(Message::RoutesChanged(self.input.instance.app.clone()));
        self.worker.bus.publish(Message::InstancesChanged(self.input.instance.app.clone()));
        std::future::pending::<()>().await;
    }

    async fn end_gently(&self, live: &Live) {
        let _ = live.sandbox.terminate();
        if timeout(self.worker.settings.grace, live.ending.readable()).await.is_err() {
            live.sandbox.kill();
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

    async fn spec(&self, program: &Program, secrets: &[(String, String)]) -> anyhow::Result<Spec> {
        let worker = &self.worker;
        let Tools { mounts, path } = worker.runtime.tools(program).await.map_err(anyhow::Error::msg)?;
        let layer = worker.layers.get(&program.files).await?;
        // The user's own command, in the user's own sandbox.
        let mut spec = Spec::new(command::by_shell(&program.web));
        let row = &self.input.instance;
        let named = Named { app: &row.app, deployment: &row.deployment, instance: &row.id };
        spec.env = environment(program, secrets, &path, &named);
        spec.cwd = PathBuf::from(program::ROOT).join(&program.folder);
        let uid = self.uid();
        (spec.uid, spec.gid, spec.home) = (uid, uid, HOME.into());
        (spec.stdout, spec.stderr) = (Output::Pipe, Output::Pipe);
        spec.limits = Limits {
            memory_bytes: worker.settings.memory_bytes,
            cpu_millicores: worker.settings.cpu_millicores,
            pids: worker.settings.pids,
            file_bytes: worker.settings.disk_bytes,
            ..spec.limits
        };
        spec.serves = Some(PORT);
        spec.network = Network::Relay { connect_port: PROXY_PORT, ports: self.relayed(), dns: true };
        spec.mounts = mounts;
        spec.mounts.push(self.files(layer, uid)?);
        spec.mounts.push(Mount::Tmpfs { to: HOME.into(), scratch: Scratch { bytes: 64 << 20, inodes: 16_384 } });
        Ok(spec)
    }

    /// Its files: the layer that all share, below a folder of its own for what it changes.
    fn files(&self, layer: PathBuf, uid: u32) -> anyhow::Result<Mount> {
        let to = PathBuf::from(program::ROOT);
        if !self.worker.overlay {
            return Ok(Mount::ReadOnly { from: Source::Path(layer), to });
        }
        let (upper, work) = (self.folder.join("upper"), self.folder.join("work"));
        for folder in [&upper, &work] {
            std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
            if rustix::process::geteuid().is_root() {
                std::os::unix::fs::lchown(folder, Some(uid), Some(uid)).context("give a folder to an instance")?;
            }
        }
        let (upper, work) = (Source::Path(upper), Source::Path(work));
        Ok(Mount::Overlay { lower: vec![Source::Path(layer)], upper, work, to })
    }

    /// Different for all that live at the same time: ids of instances end in random bits.
    fn uid(&self) -> u32 {
        let digest = skylift_model::Digest::of(self.id().as_str().as_bytes());
        let bytes = digest.as_bytes().first_chunk::<4>().copied().unwrap_or_default();
        UID_BASE + u32::from_be_bytes(bytes) % UIDS
    }

    fn relayed(&self) -> Vec<u16> {
        let policy = &self.worker.settings.egress;
        let mut ports = policy.ports.clone();
        ports.extend(policy.owner_allowed.iter().filter_map(|entry| entry.port));
        ports.retain(|port| ![PROXY_PORT, PORT].contains(port));
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    async fn start(&self, spec: Spec, log: &Log) -> anyhow::Result<Live> {
        let spawned = tokio::task::spawn_blocking(move || skylift_sandbox::spawn(&spec)).await;
        let mut sandbox = spawned.context("start a sandbox")?.context("start a sandbox")?;
        let gateway = match sandbox.relay.take() {
            Some(relay) => {
                let (log, step) = (log.clone(), self.id().to_string());
                let tell = move |refusal: skylift_egress::Refusal| log.try_say(&step, &refusal.to_string());
                Some(
                    Gateway::start(self.worker.settings.egress.clone(), sockets(relay), tell)
                        .context("serve its network")?,
                )
            }
            None => None,
        };
        let printed =
            [(Stream::Stdout, sandbox.stdout.take()), (Stream::Stderr, sandbox.stderr.take())].map(|(stream, end)| {
                let (log, step) = (log.clone(), self.id().to_string());
                let end = end.map(pipe::Receiver::from_owned_fd);
                tokio::spawn(async move {
                    if let Some(Ok(end)) = end {
                        let _ = log.follow(&step, stream, end, u64::MAX).await;
                    }
                })
            });
        let door = sandbox.door().context("the sandbox has no door")?;
        let ending = pidfd_end(sandbox.pidfd().try_clone_to_owned().context("watch an instance")?)?;
        Ok(Live { sandbox: Arc::new(sandbox), ending, door, printed, _gateway: gateway })
    }
}

/// The settings that reasons name.
struct Settings {
    memory_bytes: u64,
    disk_bytes: u64,
}

impl Settings {
    fn of(worker: &Worker) -> Self {
        Self { memory_bytes: worker.settings.memory_bytes, disk_bytes: worker.settings.disk_bytes }
    }
}

impl Live {
    /// Waits for the end of everything in it, and of what it printed.
    async fn finish(self) -> anyhow::Result<Outcome> {
        let Self { sandbox, ending, door, printed, _gateway } = self;
        drop((ending, door));
        let outcome = tokio::task::spawn_blocking(move || match Arc::into_inner(sandbox) {
            Some(mut sandbox) => sandbox.wait(),
            None => Err(io::ErrorKind::WouldBlock.into()),
        });
        let outcome = outcome.await.context("wait for an instance")?.context("wait for an instance")?;
        for printed in printed {
            let _ = printed.await;
        }
        Ok(outcome)
    }
}

#[expect(
    deprecated,
    reason = "an owned descriptor stays open for as long as it is registered, which is what the lint asks for"
)]
fn pidfd_end(pidfd: OwnedFd) -> anyhow::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(pidfd).context("watch an instance")
}

fn sockets(relay: Relay) -> Sockets {
    Sockets {
        connect: relay.connect.into(),
        tcp: relay.tcp.into_iter().map(|(port, socket)| (port, socket.into())).collect(),
        dns: relay.dns.into_iter().map(Into::into).collect(),
    }
}
