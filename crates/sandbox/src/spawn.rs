//! Starting a sandbox, on the host's side.
//!
//! In order: check the spec · make its groups · start `sandbox-init` · put it into the groups · only then send it the
//! spec, so that not one step of it runs unlimited · listen to its reports until the payload runs.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::process::{Gid, Pid, PidfdFlags, Uid};
use serde::Serialize;

use crate::cgroup::{Cgroups, Controller, GroupError, group_name};
use crate::control::{self, Fallback, Report, Start};
use crate::door::Door;
use crate::init::mounts::{OWN_EXECUTABLE, mounts_own_executable};
use crate::init_file::InitFile;
use crate::outermost::Outermost;
use crate::prepared::Prepared;
use crate::sandbox::{Relay, Sandbox};
use crate::spec::{Defence, Limits, Network, Output, Spec, Stdin};

/// Why there is no sandbox. Nothing of the payload has run then, and nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("a sandbox may run neither as user 0 nor as group 0")]
    Root,
    #[error("port {port} is the relay's, so the payload cannot listen on it")]
    PortTaken { port: u16 },
    #[error("make the control groups")]
    Group(#[from] GroupError),
    #[error("open the control socket")]
    Control(#[source] io::Error),
    #[error("open the payload's streams")]
    Streams(#[source] io::Error),
    #[error("start {init}")]
    Start {
        init: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("hold on to the process that was started")]
    OpenPidfd(#[source] io::Error),
    #[error("send the spec")]
    SendSpec(#[source] io::Error),
    #[error("hear from the sandbox")]
    Hear(#[source] io::Error),
    #[error("the sandbox was not ready within {STARTS_WITHIN_S} s")]
    TooSlow,
    #[error("a sandbox that is made ahead must say which folder is held")]
    HoldsNothing,
    #[error("a nursery makes no sandbox that {0}")]
    Unlike(&'static str),
    #[error("only what a nursery has made, and not to be executed in, can be entered")]
    NotOfANursery,
    #[error("ask the nursery")]
    AskNursery(#[source] io::Error),
    #[error("ask the zygote")]
    AskZygote(#[source] io::Error),
    #[error("the sandbox ended before the payload ran")]
    Ended,
    #[error("the sandbox could not be set up: {message}")]
    SetUp { message: String },
    #[error("run {program}")]
    NotExecutable {
        program: String,
        #[source]
        source: io::Error,
    },
}

/// Far more than it ever takes; so that a hanging file system does not hang the host.
const STARTS_WITHIN_S: i64 = 30;
/// The watcher and PID 1 count too.
const OWN_PIDS: u32 = 2;
/// Makes a sandbox and starts its payload. Blocks for some milliseconds.
///
/// # Errors
/// See [`SpawnError`]; [`SpawnError::NotExecutable`] is the one a user can cause.
pub fn spawn(spec: &Spec) -> Result<Sandbox, SpawnError> {
    let mut sandbox = make(spec)?;
    hear_until_started(&mut sandbox, &spec.argv)?;
    Ok(sandbox)
}

/// Makes a sandbox that waits for its payload. The spec says which folder is to be held.
///
/// # Errors
/// As [`spawn`], and where the spec names no folder.
pub fn prepare(spec: &Spec) -> Result<Prepared, SpawnError> {
    if spec.holds.is_none() {
        return Err(SpawnError::HoldsNothing);
    }
    let mut sandbox = make(spec)?;
    let folder = hear_until_prepared(&mut sandbox)?;
    Ok(Prepared::new(sandbox, folder, spec.limits, None))
}

/// All but the payload. From here on, dropping it cleans up.
fn make(spec: &Spec) -> Result<Sandbox, SpawnError> {
    check(spec)?;
    let group = Cgroups::own().create(&group_name(&spec.group_prefix), &limits(spec, OWN_PIDS))?;
    let streams = open_streams(spec).map_err(SpawnError::Streams)?;
    let (control, theirs) = control::pair().map_err(SpawnError::Control)?;
    let (door, their_ends) = spec.serves.map(Door::new).transpose().map_err(SpawnError::Control)?.unzip();
    let (child, pidfd) = start_init(spec, theirs, &[])?;
    let pid = Pid::from_child(&child);
    let [stdin, stdout, stderr] = streams.ours;
    let sandbox = Sandbox {
        stdin,
        stdout,
        stderr,
        relay: None,
        outermost: Outermost::Watcher { child, pidfd },
        first_pidfd: None,
        entered: None,
        payload_pidfd: None,
        control,
        door,
        group,
        ended: None,
        outcome: None,
    };
    sandbox.group.join(pid)?;
    send_spec(&sandbox, spec, &streams.theirs, their_ends.as_ref().map_or(&[], <[OwnedFd; 2]>::as_slice))
        .map_err(SpawnError::SendSpec)?;
    drop((streams.theirs, their_ends));
    Ok(sandbox)
}

/// What the host need not ask anybody about.
pub(crate) fn check(spec: &Spec) -> Result<(), SpawnError> {
    if spec.uid == 0 || spec.gid == 0 {
        return Err(SpawnError::Root);
    }
    check_port(spec)
}

/// A relay's listeners are on every address, so the payload could listen on the same port of none.
fn check_port(spec: &Spec) -> Result<(), SpawnError> {
    match (spec.serves, &spec.network) {
        (Some(port), Network::Relay { connect_port, ports, .. }) if *connect_port == port || ports.contains(&port) => {
            Err(SpawnError::PortTaken { port })
        }
        (Some(port), Network::Answered { port: answered }) if port == *answered => Err(SpawnError::PortTaken { port }),
        _ => Ok(()),
    }
}

/// The host's and the payload's ends of stdin, stdout and stderr.
pub(crate) struct Streams {
    pub(crate) ours: [Option<OwnedFd>; 3],
    pub(crate) theirs: [OwnedFd; 3],
}

/// The executable that becomes a sandbox, or with other words something of ours that makes them.
pub(crate) fn start_init(spec: &Spec, control: OwnedFd, words: &[&str]) -> Result<(Child, OwnedFd), SpawnError> {
    let given = spec.init.as_ref().filter(|_| !mounts_own_executable(spec)).map(InitFile::path);
    let given = given.and_then(|given| execute(&given, words, control.try_clone().ok()?).ok());
    let own = Path::new(OWN_EXECUTABLE);
    let started = given.map_or_else(|| execute(own, words, control), Ok);
    let mut child = started.map_err(|source| SpawnError::Start { init: own.to_owned(), source })?;
    match rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        Ok(pidfd) => Ok((child, pidfd)),
        Err(error) => {
            let _ = child.kill().and_then(|()| child.wait());
            Err(SpawnError::OpenPidfd(error.into()))
        }
    }
}

fn execute(executable: &Path, words: &[&str], control: OwnedFd) -> io::Result<Child> {
    let mut command = Command::new(executable);
    command.arg("sandbox-init").args(words).env_clear().current_dir("/");
    command.stdin(Stdio::from(control)).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn()
}

fn send_spec(sandbox: &Sandbox, spec: &Spec, streams: &[OwnedFd; 3], door: &[OwnedFd]) -> io::Result<()> {
    let file = file_of(spec)?;
    let attached: Vec<_> = std::iter::once(file.as_fd())
        .chain(streams.iter().chain(door).chain(&spec.descriptors).map(AsFd::as_fd))
        .collect();
    control::send(&sandbox.control, &Start { fallback: fallback(), streams: control::Streams::Now }, &attached)
}

pub(crate) fn fallback() -> Fallback {
    if Cgroups::own().has(Controller::Pids) { Fallback::None } else { Fallback::CountByUser }
}

/// What travels in a file without a name, so that its size does not matter.
pub(crate) fn file_of(what: &impl Serialize) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("spec", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(what)?)?;
    file.rewind()?;
    Ok(file)
}

/// Waits until all but the payload is there, and returns the folder that is held.
pub(crate) fn hear_until_prepared(sandbox: &mut Sandbox) -> Result<OwnedFd, SpawnError> {
    loop {
        match hear(&sandbox.control)? {
            (Report::Prepared, attached) => {
                return attached.into_iter().next().ok_or_else(|| SpawnError::Hear(io::ErrorKind::InvalidData.into()));
            }
            (report, attached) => note(sandbox, report, attached)?,
        }
    }
}

/// Waits until the payload runs.
pub(crate) fn hear_until_started(sandbox: &mut Sandbox, argv: &[String]) -> Result<(), SpawnError> {
    loop {
        match hear(&sandbox.control)? {
            (Report::Started, attached) => {
                sandbox.payload_pidfd = attached.into_iter().next();
                if let Some(door) = &sandbox.door {
                    door.stock_up();
                }
                return Ok(());
            }
            (Report::NotExecutable { errno }, _) => {
                let program = argv.first().cloned().unwrap_or_default();
                return Err(SpawnError::NotExecutable { program, source: io::Error::from_raw_os_error(errno) });
            }
            (report, attached) => note(sandbox, report, attached)?,
        }
    }
}

/// What is told on the way to either end.
fn note(sandbox: &mut Sandbox, report: Report, attached: Vec<OwnedFd>) -> Result<(), SpawnError> {
    match report {
        Report::Born => sandbox.first_pidfd = attached.into_iter().next(),
        Report::Listening { tcp, dns } => sandbox.relay = Some(relay(&tcp, dns, attached)?),
        Report::Failed { message } => return Err(SpawnError::SetUp { message }),
        Report::Exited { .. } => return Err(SpawnError::Ended),
        Report::Prepared | Report::Started | Report::NotExecutable { .. } => {
            return Err(SpawnError::Hear(io::ErrorKind::InvalidData.into()));
        }
    }
    Ok(())
}

/// The next report.
pub(crate) fn hear(control: &OwnedFd) -> Result<(Report, Vec<OwnedFd>), SpawnError> {
    let patience = Timespec { tv_sec: STARTS_WITHIN_S, tv_nsec: 0 };
    let mut watched = [PollFd::new(control, PollFlags::IN)];
    let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut watched, Some(&patience)));
    if ready.map_err(|e| SpawnError::Hear(e.into()))? == 0 {
        return Err(SpawnError::TooSlow);
    }
    control::receive(control).map_err(SpawnError::Hear)?.ok_or(SpawnError::Ended)
}

fn relay(ports: &[u16], dns: usize, attached: Vec<OwnedFd>) -> Result<Relay, SpawnError> {
    if attached.len() != 1 + ports.len() + dns {
        return Err(SpawnError::Hear(io::ErrorKind::InvalidData.into()));
    }
    let mut attached = attached.into_iter();
    let connect = attached.next().ok_or_else(|| SpawnError::Hear(io::ErrorKind::InvalidData.into()))?;
    let tcp = ports.iter().copied().zip(attached.by_ref()).collect();
    Ok(Relay { connect, tcp, dns: attached.collect() })
}

pub(crate) fn open_streams(spec: &Spec) -> io::Result<Streams> {
    let null = || rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let (stdin_theirs, stdin_ours) = match spec.stdin {
        Stdin::Null => (null()?, None),
        Stdin::Pipe => {
            let (read, write) = pipe(spec)?;
            (read, Some(write))
        }
    };
    let output = |output| match output {
        Output::Null | Output::WithStdout => Ok::<_, io::Error>((null()?, None)),
        Output::Pipe => {
            let (read, write) = pipe(spec)?;
            Ok((write, Some(read)))
        }
    };
    let (stdout_theirs, stdout_ours) = output(spec.stdout)?;
    let (stderr_theirs, stderr_ours) = match spec.stderr {
        Output::WithStdout => (stdout_theirs.try_clone()?, None),
        Output::Null | Output::Pipe => output(spec.stderr)?,
    };
    Ok(Streams { ours: [stdin_ours, stdout_ours, stderr_ours], theirs: [stdin_theirs, stdout_theirs, stderr_theirs] })
}

/// Owned by the payload's user, who could else not open `/dev/stdout`. Without root it is that user already.
fn pipe(spec: &Spec) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    if rustix::process::geteuid().is_root() {
        rustix::fs::fchown(&write, Some(Uid::from_raw(spec.uid)), Some(Gid::from_raw(spec.gid)))?;
    }
    Ok((read, write))
}

/// The groups' limits: what was asked, and room for our own processes.
pub(crate) fn limits(spec: &Spec, own_pids: u32) -> Limits {
    const NONE_BYTES: u64 = 1 << 50;
    const NONE_PIDS: u32 = 1 << 20;
    Limits {
        memory_bytes: if spec.keeps(Defence::MemoryLimit) { spec.limits.memory_bytes } else { NONE_BYTES },
        pids: if spec.keeps(Defence::PidsLimit) { spec.limits.pids.saturating_add(own_pids) } else { NONE_PIDS },
        ..spec.limits
    }
}
