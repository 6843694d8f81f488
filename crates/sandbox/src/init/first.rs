//! PID 1 of the sandbox: builds it, starts the payload, reaps, tells how the payload ended. By ending it ends all.
//!
//! Once the payload runs it has no capability left and cannot be looked into; what it still reads is `waitpid`.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::FdFlags;
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus};

use super::order::Ordered;
use super::{
    Given, has_ended, idle, listen, namespaces, netlink, order, payload, pidfd, privileges, report_failure, root,
};
use crate::Exit;
use crate::control::{self, Report};
use crate::process::{self, Fork, Reaped};
use crate::spec::{Defence, Network, Spec};

#[derive(Debug, thiserror::Error)]
pub(super) enum FirstError {
    #[error("join the control groups")]
    Join(#[source] io::Error),
    #[error("receive the spec")]
    Receive(#[source] io::Error),
    #[error(transparent)]
    Namespaces(#[from] namespaces::NamespaceError),
    #[error("leave the doors to the watcher")]
    LeaveDoors(#[source] io::Error),
    #[error("tie PID 1 to its watcher")]
    Tie(#[source] io::Error),
    #[error("the watcher is gone")]
    WatcherGone,
    #[error("hide from who has entered")]
    Hide(#[source] io::Error),
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
    #[error("wait for what to run")]
    Order(#[from] io::Error),
    #[error("what is to be executed in cannot be entered")]
    Entered,
    #[error("nobody has handed over the payload's streams")]
    NoStreams,
    #[error("open the pipe that tells whether the payload runs")]
    Pipe(#[source] io::Error),
    #[error("fork the payload")]
    Fork(#[source] io::Error),
    #[error("hold on to the payload")]
    OpenPidfd(#[source] io::Error),
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
    leave_the_doors(&mut given)?;
    tie_to(watcher, &given.spec)?;
    name_host_and_open_network(&given)?;
    root::build(&given.spec, &mut given.own_executable)?;
    privileges::lock_down(&given.spec)?;
    match order::wait(&mut given.spec, &given.control)? {
        Ordered::Run(later) => run(given, later),
        Ordered::WatchOver(payload) => watch_over(&given, &payload),
    }
}

/// Starts the payload, and stays until it has ended. `later` are its streams, where they were not given before.
pub(super) fn run(given: Given, later: Option<payload::Streams>) -> Result<(), FirstError> {
    let Given { spec, fallback, control, doors, streams, own_executable } = given;
    let streams = later.or(streams).ok_or(FirstError::NoStreams)?;
    let (started, starting) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| FirstError::Pipe(e.into()))?;
    let payload = match process::fork().map_err(FirstError::Fork)? {
        Fork::Child => payload::main(&spec, fallback, streams, (own_executable, starting)),
        Fork::Parent(payload) => payload,
    };
    // Held here, they would keep the pipes open after the payload has closed them.
    drop((streams, starting, doors, own_executable));
    privileges::drop_all(&spec)?;
    let payload_pidfd = pidfd(payload).map_err(FirstError::OpenPidfd)?;
    hear_start(&control, started, &payload_pidfd)?;
    drop(payload_pidfd);
    // Who is to run for moments has ended by then.
    if !spec.executes {
        idle::forget_what_was_only_read();
    }
    let report = reap_until(payload)?;
    control::send(&control, &report, &[]).map_err(FirstError::Report)
}

/// Stays until a payload that has entered from outside has ended, or the host has gone; what is left without a parent is reaped
/// meanwhile. How the payload ended is told by who has forked it.
pub(super) fn watch_over(given: &Given, payload: &OwnedFd) -> Result<(), FirstError> {
    process::reap(Reaped::ByKernel);
    privileges::drop_all(&given.spec)?;
    control::send(&given.control, &Report::Started, &[]).map_err(FirstError::Report)?;
    // What has hung up is told unasked; nothing else is to come from there.
    let lifeline = given.spec.keeps(Defence::Lifeline).then_some(&given.control);
    let mut watched = vec![PollFd::new(payload, PollFlags::IN)];
    watched.extend(lifeline.map(|control| PollFd::new(control, PollFlags::empty())));
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut watched, None)).map_err(|e| FirstError::Wait(e.into()))?;
    Ok(())
}

/// Nobody but the watcher answers the host. Without the defence the payload inherits it.
fn leave_the_doors(given: &mut Given) -> Result<(), FirstError> {
    if given.spec.keeps(Defence::OwnDescriptors) {
        given.doors.clear();
    }
    for (_, door) in &given.doors {
        rustix::io::fcntl_setfd(door, FdFlags::empty()).map_err(|e| FirstError::LeaveDoors(e.into()))?;
    }
    Ok(())
}

/// When the watcher, or the nursery in its place, is killed, so are we, and with us the namespace.
pub(super) fn tie_to(watcher: &OwnedFd, spec: &Spec) -> Result<(), FirstError> {
    if spec.keeps(Defence::Lifeline) {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| FirstError::Tie(e.into()))?;
        if has_ended(watcher.as_fd()) {
            return Err(FirstError::WatcherGone);
        }
    }
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|e| FirstError::Tie(e.into()))
}

pub(super) fn name_host_and_open_network(given: &Given) -> Result<(), FirstError> {
    rustix::system::sethostname(b"skylift").map_err(|e| FirstError::HostName(e.into()))?;
    if !given.spec.keeps(Defence::OwnNetwork) {
        return Ok(());
    }
    let mut netlink = netlink::Netlink::open()?;
    netlink.loopback_up()?;
    let listeners = match &given.spec.network {
        Network::None => return Ok(()),
        Network::Relay { connect_port, ports, dns } => {
            netlink.answer_for_every_address()?;
            listen::open(*connect_port, ports, *dns)?
        }
        Network::Answered { port } => listen::open(*port, &[], false)?,
    };
    control::send(&given.control, &listeners.report(), &listeners.descriptors()).map_err(FirstError::Report)
}

/// The pipe closes silently when the payload's program has taken over, or carries why it could not.
fn hear_start(control: &OwnedFd, started: OwnedFd, payload: &OwnedFd) -> Result<(), FirstError> {
    let mut said = Vec::new();
    std::fs::File::from(started).read_to_end(&mut said).map_err(FirstError::HearStart)?;
    let report = match payload::Failure::parse(&said) {
        None => {
            let started = control::send(control, &Report::Started, &[payload.as_fd()]);
            return started.map_err(FirstError::Report);
        }
        Some(payload::Failure::Exec { errno }) => Report::NotExecutable { errno },
        Some(payload::Failure::Step { message }) => Report::Failed { message },
    };
    control::send(control, &report, &[]).map_err(FirstError::Report)
}

/// Reaps until the payload has ended.
///
/// A shell that is told to end does so at once, while what it has started still finishes its work; the host tells the
/// whole group. So when the payload was ended by SIGTERM, the rest of its group is waited for; the host's patience is
/// what ends that.
fn reap_until(payload: Pid) -> Result<Report, FirstError> {
    let mut ended = None;
    loop {
        match (rustix::io::retry_on_intr(|| rustix::process::wait(WaitOptions::empty())), ended) {
            (Ok(Some((pid, status))), _) if pid == payload => ended = exit(status),
            (Ok(_), _) => {}
            // Whoever is left is nobody's of ours.
            (Err(rustix::io::Errno::CHILD), Some(exit)) => return Ok(exited(exit)),
            (Err(error), _) => return Err(FirstError::Wait(error.into())),
        }
        match ended {
            Some(exit) if exit != Exit::Signal(Signal::TERM.as_raw()) || !group_lives(payload) => {
                return Ok(exited(exit));
            }
            _ => {}
        }
    }
}

fn exited(exit: Exit) -> Report {
    let (cpu_ms, rss_bytes_max) = used_by_children();
    Report::Exited { exit, cpu_ms, rss_bytes_max }
}

/// Also where we may not signal whom we find.
fn group_lives(leader: Pid) -> bool {
    !matches!(rustix::process::test_kill_process_group(leader), Err(rustix::io::Errno::SRCH))
}

fn exit(status: WaitStatus) -> Option<Exit> {
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}

/// CPU time in milliseconds and the largest resident size of one process, of all that were reaped.
fn used_by_children() -> (u64, u64) {
    process::used_by_children().map_or((0, 0), |used| (used.cpu_ms, used.rss_bytes_max))
}
