//! The nursery's whole life: enters what all its sandboxes have in common, and forks whenever the host says so.
//!
//! It never executes, has one thread, reads nothing of what a sandbox should be, and ends when the host does; all its children
//! end with it. The kernel reaps them: the host knows of their ends by pidfd.

use std::os::fd::OwnedFd;

use rustix::process::DumpableBehavior;

use super::{InitError, cell, control_socket, namespaces, pidfd, receive, report_failure, template, zygote};
use crate::control::{self, Bear, Report};
use crate::process::{self, Fork, Reaped};
use crate::spec::{Defence, Spec};

pub(super) fn main() -> Result<(), InitError> {
    process::close_inherited_from(3).map_err(InitError::CloseInherited)?;
    let control = control_socket().map_err(InitError::ReceiveSpec)?;
    let result = live(&control);
    if let Err(error) = &result {
        report_failure(&control, error);
    }
    result
}

fn live(control: &OwnedFd) -> Result<(), InitError> {
    let like = receive(control.try_clone().map_err(InitError::ReceiveSpec)?).map_err(InitError::ReceiveSpec)?.spec;
    namespaces::become_able(&like)?;
    namespaces::own_mounts()?;
    template::lay(&like)?;
    // Only now: who is hidden does not own its files in /proc, and could not map its user.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| InitError::SetDumpable(e.into()))?;
    let ourselves = pidfd(rustix::process::getpid()).map_err(InitError::OpenPidfd)?;
    process::reap(Reaped::ByKernel);
    // The standard streams are our control socket once more, and nothing.
    control::send(control, &Report::Prepared, &[]).map_err(InitError::Report)?;
    while let Some((wanted, attached)) = control::receive(control).map_err(InitError::ReceiveSpec)? {
        let mut attached = attached.into_iter();
        let Some(theirs) = attached.next() else { continue };
        bear(&wanted, theirs, attached.collect(), (&ourselves, &like));
    }
    Ok(())
}

/// Forks what is wanted. Whatever becomes of it is told by its own control socket.
fn bear(wanted: &Bear, control: OwnedFd, rest: Vec<OwnedFd>, (ourselves, like): (&OwnedFd, &Spec)) {
    match fork(wanted, like) {
        Ok(Fork::Child) => match wanted {
            Bear::Cell => cell::main(control, rest, ourselves),
            Bear::Zygote { argv, env, beside } => {
                zygote::main(zygote::Given { argv, env, beside, control, rest, like }, ourselves)
            }
        },
        Ok(Fork::Parent(_)) => {}
        Err(error) => report_failure(control, &error),
    }
}

fn fork(wanted: &Bear, like: &Spec) -> Result<Fork, InitError> {
    let forked = match wanted {
        Bear::Cell if like.keeps(Defence::OwnProcesses) => process::fork_into_own_processes(),
        Bear::Cell | Bear::Zygote { .. } => process::fork(),
    };
    forked.map_err(InitError::Fork)
}
