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
    #[error("drop all capabilities")]
    DropCapabilities(#[source] io::Error),
}

/// Nothing executed from here on can gain a right, and the filter holds.
pub(super) fn lock_down(spec: &Spec) -> Result<(), PrivilegeError> {
    if spec.keeps(Defence::Unprivileged) {
        empty_bounding_set()?;
        rustix::thread::clear_ambient_capability_set().map_err(|e| PrivilegeError::ClearAmbient(e.into()))?;
    }
    if spec.keeps(Defence::NoNewPrivileges) {
        rustix::thread::set_no_new_privs(true).map_err(|e| PrivilegeError::NoNewPrivileges(e.into()))?;
    }
    if spec.keeps(Defence::Seccomp) {
        syscalls::install()?;
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
