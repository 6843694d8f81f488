//! PID 1 of the sandbox: builds it, starts the payload, reaps, tells how the payload ended. By ending it ends all.
//!
//! Once the payload runs it has no capability left and cannot be looked into; what it still reads is `waitpid`.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus};

use super::{Given, has_ended, listen, netlink, payload, privileges, report_failure, root};
use crate::Exit;
use crate::control::{self, Report};
use crate::process::{self, Fork};
use crate::spec::{Defence, Network, Spec};

#[derive(Debug, thiserror::Error)]
enum FirstError {
    #[error("tie PID 1 to its watcher")]
    Tie(#[source] io::Error),
    #[error("the watcher is gone")]
    WatcherGone,
    #[error("set the host name")]
    HostName(#[source] io::Error),
    #[error(transparent)]
    Network(#[from] netlink::NetworkError),
    #[error(transparent)]
    Listen(#[from] listen::ListenError),
    #[error(transparent)]
    Root(#[from] root::RootError),
    #[error(transparent)]
    Privileges(#[from] privileges::PrivilegeError),
    #[error("open the pipe that tells whether the payload runs")]
    Pipe(#[source] io::Error),
    #[error("fork the payload")]
    Fork(#[source] io::Error),
    #[error("tell the host")]
    Report(#[source] io::Error),
    #[error("hear whether the payload runs")]
    HearStart(#[source] io::Error),
    #[error("wait for children")]
    Wait(#[source] io::Error),
}

pub(super) fn main(given: Given, watcher: &OwnedFd) -> ! {
    let control = given.control.try_clone();
    let code = match live(given, watcher) {
        Ok(()) => 0,
        Err(error) => {
            if let Ok(control) = control {
                report_failure(control, &error);
            }
            1
        }
    };
    std::process::exit(code)
}

fn live(mut given: Given, watcher: &OwnedFd) -> Result<(), FirstError> {
    tie_to(watcher, &given.spec)?;
    rustix::system::sethostname(b"skylift").map_err(|e| FirstError::HostName(e.into()))?;
    open_network(&given)?;
    root::build(&given.spec, given.own_executable.take())?;
    privileges::lock_down(&given.spec)?;

    let Given { spec, fallback, control, stdin, stdout, stderr, own_executable: _ } = given;
    let (started, starting) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| FirstError::Pipe(e.into()))?;
    let payload = match process::fork().map_err(FirstError::Fork)? {
        Fork::Child => payload::main(&spec, fallback, payload::Streams { stdin, stdout, stderr }, starting),
        Fork::Parent(payload) => payload,
    };
    // Held here, they would keep the pipes open after the payload has closed them.
    drop((stdin, stdout, stderr, starting));
    privileges::drop_all(&spec)?;
    hear_start(&control, started)?;
    let report = reap_until(payload)?;
    control::send(&control, &report, &[]).map_err(FirstError::Report)
}

/// When the watcher is killed, so are we, and with us the namespace.
fn tie_to(watcher: &OwnedFd, spec: &Spec) -> Result<(), FirstError> {
    if spec.keeps(Defence::Lifeline) {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| FirstError::Tie(e.into()))?;
        if has_ended(watcher.as_fd()) {
            return Err(FirstError::WatcherGone);
        }
    }
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|e| FirstError::Tie(e.into()))
}

fn open_network(given: &Given) -> Result<(), FirstError> {
    if !given.spec.keeps(Defence::OwnNetwork) {
        return Ok(());
    }
    let mut netlink = netlink::Netlink::open()?;
    netlink.loopback_up()?;
    let Network::Relay { connect_port, ports, dns } = &given.spec.network else { return Ok(()) };
    netlink.answer_for_every_address()?;
    let listeners = listen::open(*connect_port, ports, *dns)?;
    control::send(&given.control, &listeners.report(), &listeners.descriptors()).map_err(FirstError::Report)
}

/// The pipe closes silently when the payload's program has taken over, or carries why it could not.
fn hear_start(control: &OwnedFd, started: OwnedFd) -> Result<(), FirstError> {
    let mut said = Vec::new();
    std::fs::File::from(started).read_to_end(&mut said).map_err(FirstError::HearStart)?;
    let report = match payload::Failure::parse(&said) {
        None => Report::Started,
        Some(payload::Failure::Exec { errno }) => Report::NotExecutable { errno },
        Some(payload::Failure::Step { message }) => Report::Failed { message },
    };
    control::send(control, &report, &[]).map_err(FirstError::Report)
}

fn reap_until(payload: Pid) -> Result<Report, FirstError> {
    loop {
        let waited = rustix::io::retry_on_intr(|| rustix::process::wait(WaitOptions::empty()));
        let Some((pid, status)) = waited.map_err(|e| FirstError::Wait(e.into()))? else { continue };
        if pid == payload
            && let Some(exit) = exit(status)
        {
            let (cpu_ms, rss_bytes_max) = used_by_children();
            return Ok(Report::Exited { exit, cpu_ms, rss_bytes_max });
        }
    }
}

fn exit(status: WaitStatus) -> Option<Exit> {
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}

/// CPU time in milliseconds and the largest resident size of one process, of all that were reaped.
fn used_by_children() -> (u64, u64) {
    process::used_by_children().map_or((0, 0), |used| (used.cpu_ms, used.rss_bytes_max))
}
