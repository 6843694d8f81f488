//! The root that all cells of a nursery have in common, built once; and what each adds to its copy.
//!
//! The nursery lives in the template: the system, devices and read-only mounts, all of it read-only, with empty folders where
//! cells mount what is theirs. A cell's mount namespace begins as a copy of it.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::mount::UnmountFlags;

use super::root::{self, BUILT_AT, PROC, RootError};
use super::{devices, etc, masks, mounts};
use crate::spec::{Defence, Mount, Scratch, Spec};

/// Where each cell's user has its name.
const NAMES_AT: &str = "/run/skylift";
const NAMES: Scratch = Scratch { bytes: 64 << 10, inodes: 8 };

/// Takes the place of this process's root.
pub(super) fn lay(spec: &Spec) -> Result<(), RootError> {
    root::make_private()?;
    let shared: Vec<&Mount> = spec.mounts.iter().filter(|mount| !is_each_cells(mount)).collect();
    let shared = mounts::prepare(&shared, spec, &mut None)?;
    let root = root::lay_foundation()?;
    root::show_system(&root, spec)?;
    etc::link_names(&Path::new(BUILT_AT).join("etc"), NAMES_AT)?;
    show_the_hosts_proc(&root)?;
    if !spec.keeps(Defence::OwnRoot) {
        // The shape without the defence: the host's root is in sight.
        let host = mounts::bind(&mounts::open_path(Path::new("/"))?, mounts::READ_ONLY)?;
        mounts::attach(&host, &root, Path::new("/mnt"))?;
    }
    for folder in [PROC, "/tmp", NAMES_AT] {
        mounts::point(&root, Path::new(folder))?;
    }
    root::pivot()?;
    let root = mounts::open_root(Path::new("/"))?;
    for (to, mount) in &shared {
        mounts::attach(mount, &root, to)?;
    }
    for to in spec.mounts.iter().filter(|mount| is_each_cells(mount)).map(mounts::target) {
        mounts::point(&root, to)?;
    }
    if spec.keeps(Defence::ReadOnlySystem) {
        mounts::make_root_read_only()?;
    }
    Ok(())
}

/// Adds what is one cell's own to its copy.
pub(super) fn complete(spec: &Spec) -> Result<(), RootError> {
    let root = mounts::open_root(Path::new("/"))?;
    let proc = root::proc(spec)?;
    hide_the_hosts_proc()?;
    mounts::attach(&proc, &root, Path::new(PROC))?;
    masks::cover(Path::new("/"), spec)?;
    mounts::attach(&mounts::tmpfs(NAMES, "755", None, mounts::WRITABLE)?, &root, Path::new(NAMES_AT))?;
    etc::name_users(Path::new(NAMES_AT), spec)?;
    mounts::make_read_only(&root, Path::new(NAMES_AT))?;
    mounts::attach(&mounts::tmpfs(spec.tmp, "1777", None, mounts::WRITABLE)?, &root, Path::new("/tmp"))?;
    devices::share_memory(&root, spec)?;
    let own: Vec<&Mount> = spec.mounts.iter().filter(|mount| is_each_cells(mount)).collect();
    for (to, mount) in mounts::prepare(&own, spec, &mut None)? {
        mounts::attach(&mount, &root, &to)?;
    }
    Ok(())
}

fn is_each_cells(mount: &Mount) -> bool {
    matches!(mount, Mount::Tmpfs { .. })
}

/// Without root the kernel mounts a new one only where an old one can be seen in full.
fn show_the_hosts_proc(root: &OwnedFd) -> Result<(), RootError> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let attributes = mounts::WRITABLE | rustix::mount::MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let proc = mounts::bind(&mounts::open_path(Path::new(PROC))?, attributes)?;
    Ok(mounts::attach(&proc, root, Path::new(PROC))?)
}

/// The other half of it, in each process that goes on from the template.
pub(super) fn hide_the_hosts_proc() -> Result<(), RootError> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    rustix::mount::unmount(PROC, UnmountFlags::DETACH).map_err(|e| RootError::HideProc(e.into()))
}
