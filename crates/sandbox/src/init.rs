//! `sandbox-init`: what the host's executable does when it is started again to become a sandbox.
//!
//! In order: drop what was inherited · wait for the spec, which comes once the host has put us in the cgroup · own
//! namespaces · fork PID 1 ([`first`]) · watch both it and the host until one of them ends ([`watch`]).
//!
//! With a second word, `nursery`, it becomes what makes sandboxes by forking alone ([`nursery`]).

pub(crate) mod answer;
mod cell;
mod devices;
mod etc;
mod first;
mod idle;
pub(crate) mod listen;
mod masks;
pub(crate) mod mounts;
mod namespaces;
pub(crate) mod netlink;
mod nursery;
mod order;
mod payload;
mod privileges;
mod root;
pub(crate) mod syscalls;
mod template;
mod watch;
mod zygote;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags};

use crate::control::{self, Fallback, Report, Start, Streams};
use crate::door::Family;
use crate::process::{self, Fork};
use crate::spec::Spec;

/// Becomes a sandbox and ends with it. To be called first thing in `main`, before any thread exists, when the first
/// argument is `sandbox-init`; the control socket is our standard input.
pub fn init_main() -> ! {
    let ended = match std::env::args().nth(2).as_deref() {
        Some(NURSERY) => nursery::main(),
        _ => run(),
    };
    let code = match ended {
        Ok(()) => 0,
        Err(_) => 1, // Told to the host where it could be told.
    };
    std::process::exit(code)
}

/// The second argument of who is to be a nursery.
pub(crate) const NURSERY: &str = "nursery";

/// What the host has handed over.
struct Given {
    spec: Spec,
    fallback: Fallback,
    control: OwnedFd,
    /// The watcher's alone.
    doors: Vec<(Family, OwnedFd)>,
    /// Unless they come with the order.
    streams: Option<payload::Streams>,
    own_executable: Option<mounts::Detached>,
}

#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("close what was inherited")]
    CloseInherited(#[source] io::Error),
    #[error("receive the spec")]
    ReceiveSpec(#[source] io::Error),
    #[error("hide from other processes")]
    SetDumpable(#[source] io::Error),
    #[error(transparent)]
    Namespaces(#[from] namespaces::NamespaceError),
    #[error("watch ourselves")]
    OpenPidfd(#[source] io::Error),
    #[error("fork PID 1")]
    Fork(#[source] io::Error),
    #[error(transparent)]
    Watch(#[from] watch::WatchError),
    #[error(transparent)]
    Root(#[from] root::RootError),
    #[error("tell the host that the nursery is ready")]
    Report(#[source] io::Error),
}

fn run() -> Result<(), InitError> {
    process::close_inherited_from(3).map_err(InitError::CloseInherited)?;
    let given = control_socket().and_then(receive).map_err(InitError::ReceiveSpec)?;
    let control = given.control.try_clone().map_err(InitError::ReceiveSpec)?;
    let result = become_sandbox(given);
    if let Err(error) = &result {
        report_failure(&control, error);
    }
    result
}

fn become_sandbox(mut given: Given) -> Result<(), InitError> {
    given.own_executable = mounts::own_executable(&given.spec);
    namespaces::enter(&given.spec)?;
    // Only now: who is hidden does not own its files in /proc, and could not map its user.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| InitError::SetDumpable(e.into()))?;
    let watcher = pidfd(rustix::process::getpid()).map_err(InitError::OpenPidfd)?;
    match process::fork().map_err(InitError::Fork)? {
        Fork::Child => first::main(given, &watcher),
        Fork::Parent(first) => Ok(watch::main(given, first)?),
    }
}

fn control_socket() -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?)
}

fn receive(control: OwnedFd) -> io::Result<Given> {
    let Some((Start { fallback, streams }, attached)) = control::receive(&control)? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let mut attached = attached.into_iter();
    let mut next = || attached.next().ok_or(io::Error::from(io::ErrorKind::InvalidData));
    let mut spec: Spec = serde_json::from_reader(io::BufReader::new(File::from(next()?)))?;
    let streams = match streams {
        Streams::Now => Some(payload::Streams { stdin: next()?, stdout: next()?, stderr: next()? }),
        Streams::Later => None,
    };
    let doors = if spec.serves.is_some() { vec![(Family::V4, next()?), (Family::V6, next()?)] } else { Vec::new() };
    spec.descriptors = attached.collect();
    Ok(Given { spec, fallback, control, doors, streams, own_executable: None })
}

/// Says what failed, as well as it can be said: the host may be gone.
fn report_failure(control: impl AsFd, error: &dyn std::error::Error) {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    let _ = control::send(control, &Report::Failed { message }, &[]);
}

fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// Whether what a pidfd names has ended.
fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(rustix::event::poll(&mut watched, Some(&now)), Ok(1..))
}
