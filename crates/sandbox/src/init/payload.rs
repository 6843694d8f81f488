//! The payload's process between its fork and its program.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::Mode;
use rustix::process::{Gid, Resource, Rlimit, Signal, Uid};
use serde::{Deserialize, Serialize};

use super::mounts::Detached;
use super::privileges;
use crate::control::Fallback;
use crate::process;
use crate::spec::{Defence, Mount, Spec};

pub(super) struct Streams {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Why the program does not run, told to PID 1 through a pipe.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Failure {
    Exec { errno: i32 },
    Step { message: String },
}

impl Failure {
    /// Nothing said is success.
    pub(super) fn parse(said: &[u8]) -> Option<Self> {
        if said.is_empty() {
            return None;
        }
        let unclear = || Self::Step { message: String::from_utf8_lossy(said).into_owned() };
        Some(serde_json::from_slice(said).unwrap_or_else(|_| unclear()))
    }
}

#[derive(Debug, thiserror::Error)]
enum PayloadError {
    #[error("begin a session")]
    Setsid(#[source] io::Error),
    #[error("put the streams in place")]
    Streams(#[source] io::Error),
    #[error("limit {resource:?}")]
    Limit {
        resource: Resource,
        #[source]
        source: io::Error,
    },
    #[error("become user {uid} and group {gid}")]
    Become {
        uid: u32,
        gid: u32,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Privileges(#[from] privileges::PrivilegeError),
    #[error("tie the payload to PID 1")]
    Tie(#[source] io::Error),
    #[error("enter {path}")]
    Enter {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("close what is not the payload's")]
    Close(#[source] io::Error),
}

/// Never returns: the program takes over, or `starting` says why not. `own` is our executable where its file has been replaced.
pub(super) fn main(
    spec: &Spec,
    fallback: Fallback,
    streams: Streams,
    (own, starting): (Option<Detached>, OwnedFd),
) -> ! {
    let failure = match prepare(spec, fallback, &streams) {
        Ok(()) => exec(spec, own.as_ref()),
        Err(error) => Failure::Step { message: with_cause(&error) },
    };
    if let Ok(said) = serde_json::to_vec(&failure) {
        let _ = File::from(starting).write_all(&said);
    }
    std::process::exit(127)
}

fn prepare(spec: &Spec, fallback: Fallback, streams: &Streams) -> Result<(), PayloadError> {
    rustix::process::setsid().map_err(|e| PayloadError::Setsid(e.into()))?;
    process::ignore_no_signals();
    put_in_place(streams).map_err(PayloadError::Streams)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    offer_to_the_memory_killer();
    limit(spec, fallback)?;
    if spec.keeps(Defence::Unprivileged) {
        let (uid, gid) = (spec.uid, spec.gid);
        become_user(uid, gid).map_err(|source| PayloadError::Become { uid, gid, source })?;
    }
    privileges::drop_all(spec)?;
    if spec.keeps(Defence::Lifeline) {
        // After the change of user, which would clear it.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|e| PayloadError::Tie(e.into()))?;
    }
    // As the payload's user, so that the folder is one it may enter.
    rustix::process::chdir(&spec.cwd).map_err(|e| PayloadError::Enter { path: spec.cwd.clone(), source: e.into() })?;
    // Ours all close at exec by themselves; this is for what a later change may forget.
    if spec.keeps(Defence::OwnDescriptors) {
        process::close_on_exec_from(3).map_err(PayloadError::Close)?;
    }
    Ok(())
}

fn put_in_place(streams: &Streams) -> io::Result<()> {
    rustix::stdio::dup2_stdin(&streams.stdin)?;
    rustix::stdio::dup2_stdout(&streams.stdout)?;
    rustix::stdio::dup2_stderr(&streams.stderr)?;
    Ok(())
}

/// When memory ends the payload should be chosen, not PID 1, which tells how it ended. A wish only: where it cannot be
/// written, size decides.
fn offer_to_the_memory_killer() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
}

fn limit(spec: &Spec, fallback: Fallback) -> Result<(), PayloadError> {
    let mut limits = vec![
        (Resource::Core, 0),
        (Resource::Fsize, spec.limits.file_bytes),
        (Resource::Nofile, spec.limits.open_files),
        (Resource::Msgqueue, 0),
    ];
    if fallback == Fallback::CountByUser {
        limits.push((Resource::Nproc, spec.limits.pids.into()));
    }
    for (resource, wanted) in limits {
        set_limit(resource, wanted).map_err(|source| PayloadError::Limit { resource, source })?;
    }
    Ok(())
}

/// Lowers, never raises: raising the hard limit takes a capability that the host may not have.
fn set_limit(resource: Resource, wanted: u64) -> io::Result<()> {
    let hard = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let wanted = Some(wanted.min(hard));
    Ok(rustix::process::setrlimit(resource, Rlimit { current: wanted, maximum: wanted })?)
}

/// In a user namespace made without root we are that user already, and groups cannot be set.
fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

fn exec(spec: &Spec, own: Option<&Detached>) -> Failure {
    let Some((program, arguments)) = spec.argv.split_first() else {
        return Failure::Exec { errno: libc::ENOENT };
    };
    let is_own = |mount: &Mount| matches!(mount, Mount::SelfExe { to } if to == Path::new(program));
    let path = own.filter(|_| spec.mounts.iter().any(is_own)).map_or_else(|| PathBuf::from(program), Detached::path);
    let error = Command::new(path).arg0(program).args(arguments).env_clear().envs(&spec.env).exec();
    Failure::Exec { errno: error.raw_os_error().unwrap_or(libc::EINVAL) }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
