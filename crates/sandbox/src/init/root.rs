//! The root that the payload sees: built on a tmpfs, pivoted into, and then made read-only.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::mount::{MountPropagationFlags, UnmountFlags};

use super::mounts::{self, Detached, MountError};
use super::{devices, etc, masks};
use crate::spec::{Defence, Scratch, Spec};

#[derive(Debug, thiserror::Error)]
pub(super) enum RootError {
    #[error("cut our mounts off from the host's")]
    MakePrivate(#[source] io::Error),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error("write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("pivot into the root")]
    PivotRoot(#[source] io::Error),
    #[error("let go of the host's root")]
    DetachOldRoot(#[source] io::Error),
    #[error("let go of the host's processes")]
    HideProc(#[source] io::Error),
}

/// Where the root is built. Any folder that exists would do: the mount is ours alone and gone with the pivot.
pub(super) const BUILT_AT: &str = "/tmp";
pub(super) const PROC: &str = "/proc";
const ROOT: Scratch = Scratch { bytes: 4 << 20, inodes: 8192 };
/// Programs and libraries. On most systems all but the first are links into it.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// `own` is our executable, where it could be taken along; it is left where it can only be executed, see [`mounts::prepare`].
pub(super) fn build(spec: &Spec, own: &mut Option<Detached>) -> Result<(), RootError> {
    make_private()?;
    // Opened first: what they name may lie where the root is about to be built.
    let prepared = mounts::prepare(&spec.mounts.iter().collect::<Vec<_>>(), spec, own)?;
    if !spec.keeps(Defence::OwnRoot) {
        return keep_host_root(spec, &prepared);
    }
    let root = lay_foundation()?;
    show_system(&root, spec)?;
    etc::name_users(&Path::new(BUILT_AT).join("etc"), spec)?;
    mounts::attach(&proc(spec)?, &root, Path::new(PROC))?;
    masks::cover(Path::new(BUILT_AT), spec)?;
    mounts::attach(&mounts::tmpfs(spec.tmp, "1777", None, mounts::WRITABLE)?, &root, Path::new("/tmp"))?;
    devices::share_memory(&root, spec)?;
    pivot()?;

    let root = mounts::open_root(Path::new("/"))?;
    for (to, mount) in &prepared {
        mounts::attach(mount, &root, to)?;
    }
    if spec.keeps(Defence::ReadOnlySystem) {
        mounts::make_root_read_only()?;
    }
    Ok(())
}

pub(super) fn make_private() -> Result<(), RootError> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|e| RootError::MakePrivate(e.into()))
}

/// The shape without the defence: the host's root, with only the spec's mounts on top.
fn keep_host_root(spec: &Spec, prepared: &[(PathBuf, Detached)]) -> Result<(), RootError> {
    let root = mounts::open_root(Path::new("/"))?;
    mounts::attach(&proc(spec)?, &root, Path::new(PROC))?;
    masks::cover(Path::new("/"), spec)?;
    for (to, mount) in prepared {
        mounts::attach(mount, &root, to)?;
    }
    Ok(())
}

pub(super) fn lay_foundation() -> Result<OwnedFd, RootError> {
    let host = mounts::open_root(Path::new("/"))?;
    mounts::attach(&mounts::tmpfs(ROOT, "755", None, mounts::WRITABLE)?, host, Path::new(BUILT_AT))?;
    Ok(mounts::open_root(Path::new(BUILT_AT))?)
}

/// All that is the same for every payload.
pub(super) fn show_system(root: &OwnedFd, spec: &Spec) -> Result<(), RootError> {
    for path in SYSTEM {
        show(root, Path::new(path), spec)?;
    }
    etc::write(root, Path::new(BUILT_AT), spec)?;
    devices::populate(root, Path::new(BUILT_AT))?;
    make_folders(Path::new(BUILT_AT))
}

/// Shows a folder of the host read-only, or copies it where it is a link. What the host has not is left out.
fn show(root: &OwnedFd, path: &Path, spec: &Spec) -> Result<(), RootError> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    if found.is_symlink() {
        let copy = Path::new(BUILT_AT).join(path.strip_prefix("/").unwrap_or(path));
        let failed = |source| RootError::Write { path: path.to_owned(), source };
        let target = std::fs::read_link(path).map_err(failed)?;
        return std::os::unix::fs::symlink(target, copy).map_err(failed);
    }
    let attributes = if spec.keeps(Defence::ReadOnlySystem) { mounts::READ_ONLY } else { mounts::WRITABLE };
    let mount = mounts::bind(&mounts::open_path(path)?, attributes)?;
    Ok(mounts::attach(&mount, root, path)?)
}

/// Its own processes, and of those only the ones of its own user. `subset=pid` would hide more, but Node and npm size
/// their pools by `/proc/cpuinfo` and `/proc/meminfo`.
pub(super) fn proc(spec: &Spec) -> Result<Detached, MountError> {
    let hidden = if spec.keeps(Defence::HiddenProcesses) { "2" } else { "0" };
    let attributes = mounts::WRITABLE | rustix::mount::MountAttrFlags::MOUNT_ATTR_NOEXEC;
    mounts::file_system("proc", &[("hidepid", hidden.to_owned())], attributes)
}

/// Folders that programs expect to exist.
fn make_folders(built_at: &Path) -> Result<(), RootError> {
    for folder in ["run", "var", "home", "root", "opt", "mnt", "srv"] {
        let path = built_at.join(folder);
        std::fs::create_dir_all(&path).map_err(|source| RootError::Write { path, source })?;
    }
    let path = built_at.join("var/tmp");
    std::os::unix::fs::symlink("/tmp", &path).map_err(|source| RootError::Write { path, source })
}

/// The new root takes the place of the old, which ends up mounted on top of it and is then let go.
pub(super) fn pivot() -> Result<(), RootError> {
    rustix::process::chdir(BUILT_AT).map_err(|e| RootError::PivotRoot(e.into()))?;
    rustix::process::pivot_root(".", ".").map_err(|e| RootError::PivotRoot(e.into()))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(|e| RootError::DetachOldRoot(e.into()))?;
    rustix::process::chdir("/").map_err(|e| RootError::DetachOldRoot(e.into()))
}
