//! `/dev`: the few devices every program expects, and shared memory. No terminal.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::mounts;
use super::root::RootError;
use crate::spec::{Scratch, Spec};

/// Shown from the host rather than made: a user namespace may not make device nodes.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
const LINKS: &[(&str, &str)] = &[
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
];
const SHARED: &str = "/dev/shm";
const FOLDER: Scratch = Scratch { bytes: 64 << 10, inodes: 64 };

pub(super) fn populate(root: &OwnedFd, built_at: &Path) -> Result<(), RootError> {
    let folder = mounts::tmpfs(FOLDER, "755", None, mounts::WRITABLE)?;
    mounts::attach(&folder, root, Path::new("/dev"))?;
    for device in DEVICES {
        let device = Path::new(device);
        mounts::attach(&mounts::bind(&mounts::open_path(device)?, mounts::DEVICE)?, root, device)?;
    }
    for (link, target) in LINKS {
        let path = built_at.join(link);
        std::os::unix::fs::symlink(target, &path).map_err(|source| RootError::Write { path, source })?;
    }
    mounts::point(root, Path::new(SHARED))?;
    Ok(mounts::make_read_only(root, Path::new("/dev"))?)
}

/// Memory that the processes of one sandbox share.
pub(super) fn share_memory(root: &OwnedFd, spec: &Spec) -> Result<(), RootError> {
    Ok(mounts::attach(&mounts::tmpfs(spec.shm, "1777", None, mounts::WRITABLE)?, root, Path::new(SHARED))?)
}
