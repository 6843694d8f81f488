//! The process of a zygote between its fork from the nursery and its interpreter.
//!
//! It stays in the nursery's process namespace (and, without root, in its user namespace), from where cells can be entered; sees the
//! template and nothing of the host's; has an empty network, the rights to enter cells and no other, and the filter of payloads
//! but for `setns`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, Rlimit, Signal};

use super::first::FirstError;
use super::root::RootError;
use super::{cell, has_ended, mounts, namespaces, pidfd, privileges, report_failure, template};
use crate::control::{self, Report};
use crate::process::{self, Reaped};
use crate::spec::{Scratch, Spec};
use crate::zygote::BESIDE_AT;

const BESIDE: Scratch = Scratch { bytes: 1 << 20, inodes: 16 };

/// What it is to be.
pub(super) struct Given<'a> {
    pub(super) argv: &'a [String],
    pub(super) env: &'a BTreeMap<String, String>,
    /// Names of files that it finds.
    pub(super) beside: &'a [String],
    pub(super) control: OwnedFd,
    /// Its script, those files, then where it joins its groups.
    pub(super) rest: Vec<OwnedFd>,
    pub(super) like: &'a Spec,
}

#[derive(Debug, thiserror::Error)]
enum ZygoteError {
    #[error(transparent)]
    First(#[from] FirstError),
    #[error(transparent)]
    Namespaces(#[from] namespaces::NamespaceError),
    #[error(transparent)]
    Root(#[from] RootError),
    #[error(transparent)]
    Mount(#[from] mounts::MountError),
    #[error(transparent)]
    Privileges(#[from] privileges::PrivilegeError),
    #[error("no script was passed")]
    NoScript,
    #[error("nothing is to be run")]
    NoProgram,
    #[error("the nursery is gone")]
    NurseryGone,
    #[error("{0}")]
    Step(&'static str, #[source] io::Error),
    #[error("run {program}")]
    Exec {
        program: String,
        #[source]
        source: io::Error,
    },
}

/// Never returns: the interpreter takes over, or the host is told why not.
pub(super) fn main(given: Given<'_>, nursery: &OwnedFd) -> ! {
    let ours = given.control.try_clone();
    if let (Err(error), Ok(control)) = (become_interpreter(given, nursery), ours) {
        report_failure(control, &error);
    }
    std::process::exit(127)
}

fn become_interpreter(given: Given<'_>, nursery: &OwnedFd) -> Result<(), ZygoteError> {
    let Given { argv, env, beside, control, rest, like } = given;
    let step = |what| move |e: rustix::io::Errno| ZygoteError::Step(what, e.into());
    process::reap(Reaped::ByWaiting);
    process::ignore_no_signals();
    let mut rest = rest.into_iter();
    let script = rest.next().ok_or(ZygoteError::NoScript)?;
    let files: Vec<OwnedFd> = rest.by_ref().take(beside.len()).collect();
    cell::join(rest.collect())?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(step("tie it to its nursery"))?;
    if has_ended(nursery.as_fd()) {
        return Err(ZygoteError::NurseryGone);
    }
    let ourselves = pidfd(rustix::process::getpid()).map_err(|e| ZygoteError::Step("hold on to it", e))?;
    control::send(&control, &Report::Born, &[ourselves.as_fd()]).map_err(|e| ZygoteError::Step("tell the host", e))?;
    namespaces::enter_others(like)?;
    template::hide_the_hosts_proc()?;
    lay_beside(beside, files)?;
    rustix::process::setsid().map_err(step("begin a session"))?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(step("leave no memory on disk"))?;
    put_in_place(&script, &control).map_err(|e| ZygoteError::Step("put its streams in place", e))?;
    privileges::keep_what_enters(like)?;
    let (program, arguments) = argv.split_first().ok_or(ZygoteError::NoProgram)?;
    let source = Command::new(program).args(arguments).env_clear().envs(env).exec();
    Err(ZygoteError::Exec { program: program.clone(), source })
}

/// Files of ours that it reads from its own view of the system; in the sandboxes that it enters they are not.
fn lay_beside(names: &[String], files: Vec<OwnedFd>) -> Result<(), ZygoteError> {
    if names.is_empty() {
        return Ok(());
    }
    let (root, at) = (mounts::open_root(Path::new("/"))?, Path::new(BESIDE_AT));
    mounts::attach(&mounts::tmpfs(BESIDE, "755", None, mounts::WRITABLE)?, &root, at)?;
    for (name, file) in names.iter().zip(files) {
        let copied = File::create_new(at.join(name)).and_then(|mut copy| io::copy(&mut File::from(file), &mut copy));
        copied.map_err(|e| ZygoteError::Step("lay a file beside it", e))?;
    }
    Ok(mounts::make_read_only(&root, at)?)
}

/// The script is its standard input, as interpreters take it, and the control socket its standard output, which it moves away
/// before anything is said. The standard error is the nursery's, which is nothing.
fn put_in_place(script: &OwnedFd, control: &OwnedFd) -> io::Result<()> {
    rustix::stdio::dup2_stdin(script)?;
    rustix::stdio::dup2_stdout(control)?;
    process::close_on_exec_from(3)
}
