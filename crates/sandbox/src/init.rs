//! `sandbox-init`: what the host's executable does when it is started again to become a sandbox.
//!
//! In order: drop what was inherited · wait for the spec, which comes once the host has put us in the cgroup · own
//! namespaces · fork PID 1 ([`first`]) · watch both it and the host until one of them ends.

mod devices;
mod etc;
mod first;
mod listen;
mod masks;
mod mounts;
mod namespaces;
mod netlink;
mod payload;
mod privileges;
mod root;
pub(crate) mod syscalls;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions};

use crate::control::{self, Fallback, Report, Start};
use crate::process::{self, Fork};
use crate::spec::{Defence, Spec};

/// Becomes a sandbox and ends with it. To be called first thing in `main`, before any thread exists, when the first
/// argument is `sandbox-init`; the control socket is our standard input.
pub fn init_main() -> ! {
    let code = match run() {
        Ok(()) => 0,
        Err(_) => 1, // Told to the host where it could be told.
    };
    std::process::exit(code)
}

/// What the host has handed over.
struct Given {
    spec: Spec,
    fallback: Fallback,
    control: OwnedFd,
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
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
    #[error("tell the host")]
    Report(#[source] io::Error),
    #[error("wait for PID 1 or the host")]
    Watch(#[source] io::Error),
}

fn run() -> Result<(), InitError> {
    process::close_inherited_from(3).map_err(InitError::CloseInherited)?;
    let given = receive().map_err(InitError::ReceiveSpec)?;
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
        Fork::Parent(first) => watch(given, first),
    }
}

/// The watcher's whole life: when the host or PID 1 ends, so does the other side.
fn watch(given: Given, first: Pid) -> Result<(), InitError> {
    let Given { spec, control, stdin, stdout, stderr, .. } = given;
    // Held here, they would keep the host's ends of the pipes open after the payload has closed them.
    drop((stdin, stdout, stderr));
    let first_pidfd = pidfd(first).map_err(InitError::OpenPidfd)?;
    control::send(&control, &Report::Born, &[first_pidfd.as_fd()]).map_err(InitError::Report)?;

    let host_gone = if spec.keeps(Defence::Lifeline) { PollFlags::HUP } else { PollFlags::empty() };
    loop {
        let mut watched = [PollFd::new(&first_pidfd, PollFlags::IN), PollFd::new(&control, PollFlags::empty())];
        let polled = rustix::io::retry_on_intr(|| rustix::event::poll(&mut watched[..poll_count(host_gone)], None));
        polled.map_err(|e| InitError::Watch(e.into()))?;
        if watched[1].revents().intersects(host_gone) {
            // It may be gone already; either way the wait below ends.
            let _ = rustix::process::pidfd_send_signal(&first_pidfd, Signal::KILL);
            break;
        }
        if !watched[0].revents().is_empty() {
            break;
        }
    }
    rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(first), WaitOptions::empty()))
        .map_err(|e| InitError::Watch(e.into()))?;
    Ok(())
}

/// The lifeline is the last entry, so that a test can leave it out.
fn poll_count(host_gone: PollFlags) -> usize {
    if host_gone.is_empty() { 1 } else { 2 }
}

fn receive() -> io::Result<Given> {
    let control = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let Some((Start { fallback }, attached)) = control::receive(&control)? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let mut attached = attached.into_iter();
    let mut next = || attached.next().ok_or(io::Error::from(io::ErrorKind::InvalidData));
    let (spec, stdin, stdout, stderr) = (next()?, next()?, next()?, next()?);
    let mut spec: Spec = serde_json::from_reader(io::BufReader::new(File::from(spec)))?;
    spec.descriptors = attached.collect();
    Ok(Given { spec, fallback, control, stdin, stdout, stderr, own_executable: None })
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
