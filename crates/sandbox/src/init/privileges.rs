//! Giving up rights. What binds PID 1 and the payload alike is done once, before the payload is forked from it.

use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets};

use super::syscalls;
use crate::spec::{Defence, Spec};

#[derive(Debug, thiserror::Error)]
pub(super) enum PrivilegeError {
    #[error("drop capability {number} from the bounding set")]
    DropBounding {
        number: u32,
        #[source]
        source: io::Error,
    },
    #[error("clear the ambient capabilities")]
    ClearAmbient(#[source] io::Error),
    #[error("set no_new_privs")]
    NoNewPrivileges(#[source] io::Error),
    #[error("install the system call filter")]
    Seccomp(#[from] syscalls::FilterError),
    #[error("keep what enters sandboxes")]
    KeepCapabilities(#[source] io::Error),
    #[error("drop all capabilities")]
    DropCapabilities(#[source] io::Error),
}

/// Nothing executed from here on can gain a right, and the filter holds.
pub(super) fn lock_down(spec: &Spec) -> Result<(), PrivilegeError> {
    gain_nothing(spec)?;
    filter(spec)
}

/// The first half of it, for who goes on for a while with the rights it has.
pub(super) fn gain_nothing(spec: &Spec) -> Result<(), PrivilegeError> {
    if spec.keeps(Defence::Unprivileged) {
        empty_bounding_set()?;
        rustix::thread::clear_ambient_capability_set().map_err(|e| PrivilegeError::ClearAmbient(e.into()))?;
    }
    if spec.keeps(Defence::NoNewPrivileges) {
        rustix::thread::set_no_new_privs(true).map_err(|e| PrivilegeError::NoNewPrivileges(e.into()))?;
    }
    Ok(())
}

/// The second half.
pub(super) fn filter(spec: &Spec) -> Result<(), PrivilegeError> {
    if spec.keeps(Defence::Seccomp) {
        syscalls::install(spec.apart)?;
    }
    Ok(())
}

/// To enter namespaces and change roots on the way, to become a payload's user then, and to take it along at the end. The kernel takes
/// a process for the name of its namespaces only from who might trace it, which the filter refuses all the same.
const ENTERING: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID);

/// For who enters sandboxes: that right survives the next exec and none else does, or can be gained. With the filter, which leaves
/// only `setns` open.
pub(super) fn keep_what_enters(spec: &Spec) -> Result<(), PrivilegeError> {
    let set = |held: CapabilitySet| {
        let sets = CapabilitySets { effective: held, permitted: held, inheritable: ENTERING };
        rustix::thread::set_capabilities(None, sets).map_err(|e| PrivilegeError::KeepCapabilities(e.into()))
    };
    set(ENTERING | CapabilitySet::SETPCAP)?;
    for one in ENTERING {
        rustix::thread::configure_capability_in_ambient_set(one, true)
            .map_err(|e| PrivilegeError::KeepCapabilities(e.into()))?;
    }
    empty_bounding_set()?;
    set(ENTERING)?;
    if spec.keeps(Defence::NoNewPrivileges) {
        rustix::thread::set_no_new_privs(true).map_err(|e| PrivilegeError::NoNewPrivileges(e.into()))?;
    }
    if spec.keeps(Defence::Seccomp) {
        syscalls::install_but_for_entering(spec.apart)?;
    }
    Ok(())
}

/// Drops every capability that this process holds.
pub(super) fn drop_all(spec: &Spec) -> Result<(), PrivilegeError> {
    if !spec.keeps(Defence::Unprivileged) {
        return Ok(());
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets).map_err(|e| PrivilegeError::DropCapabilities(e.into()))
}

/// By number up to what this kernel knows, not by name: it may know more than our libraries.
fn empty_bounding_set() -> Result<(), PrivilegeError> {
    for number in 0..64_u32 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            Err(rustix::io::Errno::INVAL) => break,
            Err(source) => return Err(PrivilegeError::DropBounding { number, source: source.into() }),
        }
    }
    Ok(())
}
