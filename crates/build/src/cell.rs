//! One confined command: started, listened to, held to its limits, and how it ended.

mod disk;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skylift_egress::{Gateway, Policy, Sockets};
use skylift_model::wire::Stream;
use skylift_sandbox::{Network, Outcome, Output, Relay, Sandbox, Spec};
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::watch;

pub use disk::DiskLimit;
pub(crate) use disk::shown_bytes;
use skylift_log::Log;

/// Where the sandbox's proxy answers, inside.
pub const PROXY_PORT: u16 = 3128;

/// What holds for a command besides what its [`Spec`] says.
#[derive(Clone)]
pub struct Bounds {
    /// How long it may take.
    pub time: Duration,
    /// How much it may print.
    pub output_bytes: u64,
    /// How much it may write, where it can write to disk.
    pub disk: Option<DiskLimit>,
    /// What it may reach; `None` for nothing.
    pub egress: Option<Policy>,
}

/// How a command ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself, or killed by its memory limit.
    Exited(Outcome),
    /// It took longer than allowed.
    TimedOut,
    /// It printed more than allowed.
    TooMuchOutput,
    /// It wrote more than allowed; says what.
    DiskLimit(String),
    /// The disk itself has no room left, whoever has filled it.
    DiskFull,
    /// The deployment was cancelled, or its lease lost.
    Cancelled,
}

impl Ended {
    /// Whether no limit had a part in it.
    pub fn is_by_itself(&self) -> bool {
        matches!(self, Self::Exited(outcome) if !outcome.out_of_memory)
    }
}

/// Why a command could not be run. Our fault, not the user's.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    #[error("start a sandbox")]
    Spawn(#[from] skylift_sandbox::SpawnError),
    #[error("serve the sandbox's network")]
    Network(#[from] skylift_egress::gateway::StartError),
    #[error("watch the sandbox")]
    Watch(#[source] io::Error),
    #[error("the platform is shutting down")]
    Interrupted,
}

/// A started command.
pub struct Cell {
    sandbox: Sandbox,
    /// Lives as long as the sandbox: its sockets are in the sandbox's network.
    _gateway: Option<Gateway>,
    bounds: Bounds,
}

impl Cell {
    /// Starts a command. Refused destinations are told in the log.
    pub async fn start(mut spec: Spec, bounds: Bounds, step: &str, log: Option<&Log>) -> Result<Self, CellError> {
        spec.network = match bounds.egress {
            Some(ref policy) => Network::Relay { connect_port: PROXY_PORT, ports: relayed(policy), dns: true },
            None => Network::None,
        };
        let spawned = tokio::task::spawn_blocking(move || skylift_sandbox::spawn(&spec)).await;
        let mut sandbox = spawned.map_err(|_| CellError::Interrupted)??;
        let gateway = match (bounds.egress.clone(), sandbox.relay.take()) {
            (Some(policy), Some(relay)) => {
                let (log, step) = (log.cloned(), step.to_owned());
                let tell = move |refusal: skylift_egress::Refusal| {
                    if let Some(log) = &log {
                        log.try_say(&step, &refusal.to_string());
                    }
                };
                Some(Gateway::start(policy, sockets(relay), Arc::default(), tell)?)
            }
            _ => None,
        };
        Ok(Self { sandbox, _gateway: gateway, bounds })
    }

    /// The end the command reads from.
    pub fn take_stdin(&mut self) -> Result<pipe::Sender, CellError> {
        let end = self.sandbox.stdin.take().ok_or(CellError::Watch(io::ErrorKind::NotConnected.into()))?;
        pipe::Sender::from_owned_fd(end).map_err(CellError::Watch)
    }

    /// The end the command writes to.
    pub fn take_stdout(&mut self) -> Result<pipe::Receiver, CellError> {
        receiver(self.sandbox.stdout.take())
    }

    /// The end the command complains to.
    pub fn take_stderr(&mut self) -> Result<pipe::Receiver, CellError> {
        receiver(self.sandbox.stderr.take())
    }

    /// Runs to the end, with what it prints going to the log.
    pub async fn run_logged(
        mut self,
        step: &str,
        log: &Log,
        cancel: watch::Receiver<bool>,
    ) -> Result<Ended, CellError> {
        let stdout = receiver(self.sandbox.stdout.take())?;
        let stderr = receiver(self.sandbox.stderr.take())?;
        let most = self.bounds.output_bytes;
        let printed = async {
            let (out, err) = tokio::join!(
                log.follow(step, Stream::Stdout, stdout, most),
                log.follow(step, Stream::Stderr, stderr, most)
            );
            out.is_some() && err.is_some()
        };
        self.finish(printed, cancel).await
    }

    /// Waits for the end while `reading` takes what the command prints. `reading` ends with whether that was within
    /// bounds; when it was not, the command is killed.
    pub async fn finish(
        self,
        reading: impl Future<Output = bool>,
        mut cancel: watch::Receiver<bool>,
    ) -> Result<Ended, CellError> {
        let Self { sandbox, _gateway, bounds } = self;
        let sandbox = Arc::new(sandbox);
        let ending = pidfd_end(sandbox.pidfd().try_clone_to_owned().map_err(CellError::Watch)?)?;
        let broken = tokio::select! {
            (kept, ended) = async { tokio::join!(guarded(reading, &sandbox), ending.readable()) } => {
                ended.map_err(CellError::Watch)?.retain_ready();
                (!kept).then_some(Ended::TooMuchOutput)
            }
            () = tokio::time::sleep(bounds.time) => Some(Ended::TimedOut),
            ended = disk::exceeded(bounds.disk.clone()) => Some(ended),
            _ = cancel.wait_for(|cancelled| *cancelled) => Some(Ended::Cancelled),
        };
        sandbox.kill();
        drop(ending);
        let outcome = tokio::task::spawn_blocking(move || match Arc::into_inner(sandbox) {
            Some(mut sandbox) => sandbox.wait(),
            None => Err(io::ErrorKind::WouldBlock.into()),
        });
        let outcome = outcome.await.map_err(|_| CellError::Interrupted)?.map_err(CellError::Watch)?;
        if let (None, Some(limit)) = (&broken, bounds.disk) {
            // Between two looks much can be written.
            let look = tokio::task::spawn_blocking(move || disk::broken(&limit));
            if let Some(ended) = look.await.map_err(|_| CellError::Interrupted)? {
                return Ok(ended);
            }
        }
        Ok(broken.unwrap_or(Ended::Exited(outcome)))
    }
}

/// The ports that programs may connect to without the proxy: those of the policy, and those the owner names.
fn relayed(policy: &Policy) -> Vec<u16> {
    let mut ports = policy.ports.clone();
    ports.extend(policy.owner_allowed.iter().filter_map(|entry| entry.port));
    ports.retain(|port| *port != PROXY_PORT);
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// For waiting until a process has ended.
#[expect(
    deprecated,
    reason = "an owned descriptor stays open for as long as it is registered, which is what the lint asks for"
)]
fn pidfd_end(pidfd: OwnedFd) -> Result<AsyncFd<OwnedFd>, CellError> {
    AsyncFd::new(pidfd).map_err(CellError::Watch)
}

/// Kills at once what printed too much, rather than when its time is up.
async fn guarded(reading: impl Future<Output = bool>, sandbox: &Sandbox) -> bool {
    let kept = reading.await;
    if !kept {
        sandbox.kill();
    }
    kept
}

fn receiver(end: Option<OwnedFd>) -> Result<pipe::Receiver, CellError> {
    let end = end.ok_or(CellError::Watch(io::ErrorKind::NotConnected.into()))?;
    pipe::Receiver::from_owned_fd(end).map_err(CellError::Watch)
}

fn sockets(relay: Relay) -> Sockets {
    Sockets {
        connect: relay.connect.into(),
        tcp: relay.tcp.into_iter().map(|(port, socket)| (port, socket.into())).collect(),
        passages: Vec::new(),
        dns: relay.dns.into_iter().map(Into::into).collect(),
    }
}

/// A spec whose streams are pipes.
pub fn spec(argv: impl IntoIterator<Item = impl Into<String>>) -> Spec {
    let mut spec = Spec::new(argv);
    spec.stdout = Output::Pipe;
    spec.stderr = Output::Pipe;
    spec
}

/// Where our own executable lies, inside.
pub const OWN_EXECUTABLE: &str = "/run/skylift";

/// A spec for one of our own commands, which reads or writes frames.
pub fn own_command(argv: &[&str]) -> Spec {
    let mut spec = Spec::new([OWN_EXECUTABLE].iter().chain(argv).copied());
    spec.stdout = Output::Pipe;
    spec.mounts.push(skylift_sandbox::Mount::SelfExe { to: PathBuf::from(OWN_EXECUTABLE) });
    spec
}
