//! An instance in a sandbox of ours.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use skylift_egress::Gateway;
use skylift_log::Log;
use skylift_model::wire::Stream;
use skylift_model::{Program, program};
use skylift_sandbox::{
    Door, Limits, Listening, Mount, Network, Outcome, Output, Sandbox, Scratch, Source, Spec, Unheard,
};
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use super::data::Taken;
use super::{Instance, PROXY_PORT, command, watch_disk};
use crate::ended::Cause;
use crate::environment::{HOME, PORT, environment};
use crate::layer::Layer;
use crate::links::Linked;
use crate::meters::Read;
use crate::process::{Command, Kind};
use crate::worker::Tools;

/// A sandbox whose payload runs.
pub(super) struct Sandboxed {
    sandbox: Arc<Sandbox>,
    ending: AsyncFd<OwnedFd>,
    /// The way in, where somebody is to speak to it.
    pub(super) door: Option<Door>,
    /// Of what it writes to disk.
    folder: PathBuf,
    volumes: watch_disk::Volumes,
    printed: Vec<JoinHandle<()>>,
    /// Held until it has ended: what is used is not removed.
    _layer: Layer,
    _gateway: Option<Gateway>,
}

impl Instance {
    pub(super) async fn start_sandbox(
        &self,
        program: &Program,
        command: Command<'_>,
        secrets: &[(String, String)],
        taken: Taken,
        log: &Log,
    ) -> anyhow::Result<Sandboxed> {
        let linked = self.linked(program, PORT, &taken)?;
        let layer = self.worker.layers.get(&program.files).await?;
        let mut spec = self.spec(program, command, layer.path(), secrets, &linked, self.user(&taken)).await?;
        let volumes = self.measured(&taken).await?;
        let is_overfull = self.is_overfull(&volumes)?;
        taken.give(&mut spec, self.worker.settings.volume_bytes);
        if is_overfull {
            spec.limits.file_bytes = 0;
        }
        let spawned = tokio::task::spawn_blocking(move || skylift_sandbox::spawn(&spec)).await;
        let mut sandbox = spawned.context("start a sandbox")?.context("start a sandbox")?;
        let gateway = sandbox.relay.take().map(|relay| self.serve_network(relay, &linked, program, log)).transpose()?;
        let mut printed = Vec::new();
        for (stream, end) in [(Stream::Stdout, sandbox.stdout.take()), (Stream::Stderr, sandbox.stderr.take())] {
            if let Some(Ok(end)) = end.map(pipe::Receiver::from_owned_fd) {
                printed.push(self.follow(stream, end, log));
            }
        }
        let door = sandbox.door();
        let ending = pidfd_end(sandbox.pidfd().try_clone_to_owned().context("watch an instance")?)?;
        let folder = self.folder.clone();
        let sandbox = Arc::new(sandbox);
        Ok(Sandboxed { sandbox, ending, door, folder, volumes, printed, _layer: layer, _gateway: gateway })
    }

    async fn spec(
        &self,
        program: &Program,
        command: Command<'_>,
        layer: &Path,
        secrets: &[(String, String)],
        linked: &Linked,
        uid: u32,
    ) -> anyhow::Result<Spec> {
        let worker = &self.worker;
        let Tools { mounts, path } = worker.runtime.tools(program).await.map_err(anyhow::Error::msg)?;
        // The user's own command, in the user's own sandbox.
        let mut spec = Spec::new(command::by_shell(command));
        spec.init.clone_from(&worker.init);
        spec.env = environment(program, &linked.env, secrets, &path, &self.named());
        spec.cwd = PathBuf::from(program::ROOT).join(&program.folder);
        (spec.uid, spec.gid, spec.home) = (uid, uid, HOME.into());
        (spec.stdout, spec.stderr) = (Output::Pipe, Output::Pipe);
        spec.limits = Limits {
            memory_bytes: self.settings.memory_bytes,
            cpu_millicores: self.settings.cpu_millicores,
            pids: self.settings.pids,
            file_bytes: self.settings.disk_bytes,
            ..spec.limits
        };
        spec.serves = (self.kind() == Kind::Web).then_some(PORT);
        spec.network =
            Network::Relay { connect_port: PROXY_PORT, ports: self.relayed(PORT, linked, program), dns: true };
        spec.mounts = mounts;
        spec.mounts.push(self.files(layer.to_owned(), uid)?);
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
}

impl Sandboxed {
    pub(super) fn listening(&self) -> Listening {
        self.sandbox.listening()
    }

    pub(super) fn unheard(&self) -> Option<Unheard> {
        self.sandbox.unheard().ok()
    }

    pub(super) fn meter(&self) -> Read {
        let sandbox = self.sandbox.clone();
        Box::new(move || sandbox.cpu_us())
    }

    pub(super) async fn ended(&self) -> anyhow::Result<()> {
        self.ending.readable().await.map(drop).context("watch an instance")
    }

    pub(super) async fn exceeds(&self, bytes_max: u64) -> Cause {
        let volumes = self.volumes.clone();
        let own = watch_disk::Own { folder: self.folder.clone(), seen_at: program::ROOT, beside: Vec::new() };
        watch_disk::exceeded(Some(own), volumes, self.sandbox.unlinked(), bytes_max).await
    }

    pub(super) fn terminate(&self) {
        let _ = self.sandbox.terminate();
    }

    pub(super) fn kill(&self) {
        self.sandbox.kill();
    }

    /// Waits for the end of everything in it, and of what it printed.
    pub(super) async fn finish(self) -> anyhow::Result<Outcome> {
        let Self { sandbox, ending, door, printed, _gateway, _layer, .. } = self;
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
