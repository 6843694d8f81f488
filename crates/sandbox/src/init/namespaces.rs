//! Own namespaces, entered by the watcher; the process namespace begins with its next child.

use std::io;

use rustix::thread::UnshareFlags;

use crate::spec::{Defence, Spec};

#[derive(Debug, thiserror::Error)]
pub(super) enum NamespaceError {
    #[error("make a user namespace")]
    UnshareUser(#[source] io::Error),
    #[error("map our user into it: write {file}")]
    MapUser {
        file: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("make namespaces {0:?}")]
    Unshare(UnshareFlags, #[source] io::Error),
}

/// Without root, a user namespace first: it gives the rights that the rest needs.
pub(super) fn enter(spec: &Spec) -> Result<(), NamespaceError> {
    become_able(spec)?;
    unshare(wanted(spec))
}

/// Without root, a user namespace.
pub(super) fn become_able(spec: &Spec) -> Result<(), NamespaceError> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { enter_user(spec.uid, spec.gid) }
}

/// All but those of users and processes, for who was born into those.
pub(super) fn enter_others(spec: &Spec) -> Result<(), NamespaceError> {
    unshare(wanted(spec) - UnshareFlags::NEWPID)
}

/// Mounts of its own, which begin as a copy of ours.
pub(super) fn own_mounts() -> Result<(), NamespaceError> {
    unshare(UnshareFlags::NEWNS)
}

fn wanted(spec: &Spec) -> UnshareFlags {
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWCGROUP;
    if spec.keeps(Defence::OwnIpc) {
        flags |= UnshareFlags::NEWIPC;
    }
    if spec.keeps(Defence::OwnProcesses) {
        flags |= UnshareFlags::NEWPID;
    }
    if spec.keeps(Defence::OwnNetwork) {
        flags |= UnshareFlags::NEWNET;
    }
    flags
}

/// One user and one group can be mapped without privilege; ours appear inside as the spec's.
fn enter_user(uid: u32, gid: u32) -> Result<(), NamespaceError> {
    let (outer_uid, outer_gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    unshare_raw(UnshareFlags::NEWUSER).map_err(NamespaceError::UnshareUser)?;
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{uid} {outer_uid} 1"))?;
    write("/proc/self/gid_map", format!("{gid} {outer_gid} 1"))
}

fn write(file: &'static str, text: String) -> Result<(), NamespaceError> {
    std::fs::write(file, text).map_err(|source| NamespaceError::MapUser { file, source })
}

fn unshare(wanted: UnshareFlags) -> Result<(), NamespaceError> {
    unshare_raw(wanted).map_err(|source| NamespaceError::Unshare(wanted, source))
}

#[expect(unsafe_code, reason = "unshare has no safe form")]
fn unshare_raw(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: unsafe only for FILES, which splits the table of descriptors between threads; it is not among the flags
    // of this file, and this process has one thread.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}
