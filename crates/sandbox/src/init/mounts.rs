//! Mounts by descriptor: made detached, restricted, and only then attached, so that nothing is ever seen writable
//! that should not be, and no path is followed twice.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use crate::spec::{Mount, Scratch, Source, Spec};

#[derive(Debug, thiserror::Error)]
pub(super) enum MountError {
    #[error("open {path}")]
    OpenSource {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the spec passes no descriptor number {0}")]
    NoDescriptor(usize),
    #[error("{path} is not what was passed: it was replaced meanwhile")]
    Replaced { path: PathBuf },
    #[error("copy the mount of {path}")]
    CloneTree {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("restrict a mount")]
    SetAttributes(#[source] io::Error),
    #[error("make a {kind} file system")]
    MakeFileSystem {
        kind: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{path} is no absolute path without `..`")]
    BadTarget { path: PathBuf },
    #[error("make the mount point {path}")]
    MakePoint {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("mount on {path}")]
    Attach {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A mount that is not yet anywhere.
pub(super) struct Detached {
    mount: OwnedFd,
    is_folder: bool,
}

/// All that no payload's mount may do.
const CONFINED: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);
pub(super) const READ_ONLY: MountAttrFlags = CONFINED.union(MountAttrFlags::MOUNT_ATTR_RDONLY);
pub(super) const WRITABLE: MountAttrFlags = CONFINED;
pub(super) const DEVICE: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

impl Detached {
    /// What it shows, to be executed by a path that leads nowhere else.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.mount.as_raw_fd()))
    }

    /// Whether it shows a file that no folder holds any more: that is attached nowhere.
    fn is_unlinked(&self) -> bool {
        rustix::fs::fstat(&self.mount).is_ok_and(|found| found.st_nlink == 0)
    }
}

/// Our executable as a mount, taken while we are in the host's mount namespace: there it is found even when its file
/// has been replaced by an upgrade. Without root there is no right to do so; [`prepare`] then goes by its path.
pub(super) fn own_executable(spec: &Spec) -> Option<Detached> {
    if !mounts_own_executable(spec) || !rustix::process::geteuid().is_root() {
        return None;
    }
    bind(&open_path(Path::new(OWN_EXECUTABLE)).ok()?, READ_ONLY).ok()
}

pub(crate) const OWN_EXECUTABLE: &str = "/proc/self/exe";

pub(crate) fn mounts_own_executable(spec: &Spec) -> bool {
    spec.mounts.iter().any(|mount| matches!(mount, Mount::SelfExe { .. }))
}

/// Makes those of the spec's mounts that are wanted while the host's files can still be seen. Leaves `own` where its file has been replaced: it can be
/// executed, and not be attached.
pub(super) fn prepare(
    wanted: &[&Mount],
    spec: &Spec,
    own: &mut Option<Detached>,
) -> Result<Vec<(PathBuf, Detached)>, MountError> {
    let mut prepared = Vec::with_capacity(wanted.len());
    for mount in wanted {
        prepared.push(match mount {
            Mount::ReadOnly { from, to } => (to.clone(), bind(&open(from, spec)?, READ_ONLY)?),
            Mount::Writable { from, to } => (to.clone(), bind(&open(from, spec)?, WRITABLE)?),
            Mount::Tmpfs { to, scratch } => (to.clone(), tmpfs(*scratch, "755", Some((spec.uid, spec.gid)), WRITABLE)?),
            Mount::Overlay { lower, upper, work, to } => (to.clone(), overlay(lower, upper, work, spec)?),
            Mount::SelfExe { .. } if own.as_ref().is_some_and(Detached::is_unlinked) => continue,
            Mount::SelfExe { to } => match own.take() {
                Some(own) => (to.clone(), own),
                None => (to.clone(), bind(&reopen(&open_path(Path::new(OWN_EXECUTABLE))?.descriptor)?, READ_ONLY)?),
            },
        });
    }
    Ok(prepared)
}

/// Where it is to be seen.
pub(super) fn target(mount: &Mount) -> &Path {
    match mount {
        Mount::ReadOnly { to, .. }
        | Mount::Writable { to, .. }
        | Mount::Tmpfs { to, .. }
        | Mount::Overlay { to, .. }
        | Mount::SelfExe { to } => to,
    }
}

/// A file or folder of the host, opened in our own mount namespace.
pub(super) struct Opened {
    descriptor: OwnedFd,
    path: PathBuf,
}

pub(super) fn open_path(path: &Path) -> Result<Opened, MountError> {
    let failed = |e: rustix::io::Errno| MountError::OpenSource { path: path.to_owned(), source: e.into() };
    let descriptor = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    Ok(Opened { descriptor, path: path.to_owned() })
}

fn open(source: &Source, spec: &Spec) -> Result<Opened, MountError> {
    match source {
        Source::Path(path) => open_path(path),
        Source::Descriptor(number) => {
            let passed = spec.descriptors.get(*number).ok_or(MountError::NoDescriptor(*number))?;
            reopen(passed)
        }
    }
}

/// A descriptor from the host belongs to its mount namespace and cannot be mounted in ours. So it is opened anew by
/// its path, and must be the same file.
fn reopen(passed: &OwnedFd) -> Result<Opened, MountError> {
    let link = format!("/proc/self/fd/{}", passed.as_raw_fd());
    let failed = |source: io::Error| MountError::OpenSource { path: PathBuf::from(&link), source };
    let path = std::fs::read_link(&link).map_err(failed)?;
    let opened = open_path(&path)?;
    let (was, is) = match (rustix::fs::fstat(passed), rustix::fs::fstat(&opened.descriptor)) {
        (Ok(was), Ok(is)) => (was, is),
        (Err(error), _) | (_, Err(error)) => return Err(failed(error.into())),
    };
    if (was.st_dev, was.st_ino) != (is.st_dev, is.st_ino) {
        return Err(MountError::Replaced { path });
    }
    Ok(opened)
}

/// A copy of what is mounted there, with all that is mounted below.
pub(super) fn bind(opened: &Opened, attributes: MountAttrFlags) -> Result<Detached, MountError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let failed = |e: rustix::io::Errno| MountError::CloneTree { path: opened.path.clone(), source: e.into() };
    let mount = rustix::mount::open_tree(&opened.descriptor, "", flags).map_err(failed)?;
    let is_folder = is_folder(&opened.descriptor).map_err(failed)?;
    set_attributes(mount.as_fd(), attributes, Reach::Below).map_err(MountError::SetAttributes)?;
    Ok(Detached { mount, is_folder })
}

pub(super) fn tmpfs(
    scratch: Scratch,
    mode: &str,
    owner: Option<(u32, u32)>,
    attributes: MountAttrFlags,
) -> Result<Detached, MountError> {
    let mut options =
        vec![("size", scratch.bytes.to_string()), ("nr_inodes", scratch.inodes.to_string()), ("mode", mode.to_owned())];
    if let Some((uid, gid)) = owner {
        options.extend([("uid", uid.to_string()), ("gid", gid.to_string())]);
    }
    file_system("tmpfs", &options, attributes)
}

fn overlay(lower: &[Source], upper: &Source, work: &Source, spec: &Spec) -> Result<Detached, MountError> {
    let lower = lower.iter().map(|source| open(source, spec)).collect::<Result<Vec<_>, _>>()?;
    let (upper, work) = (open(upper, spec)?, open(work, spec)?);
    // By descriptor: no character of a path can then be taken for a separator.
    let path = |opened: &Opened| format!("/proc/self/fd/{}", opened.descriptor.as_raw_fd());
    let mut options = vec![
        ("lowerdir", lower.iter().map(path).collect::<Vec<_>>().join(":")),
        ("upperdir", path(&upper)),
        ("workdir", path(&work)),
    ];
    if !rustix::process::geteuid().is_root() {
        options.push(("userxattr", String::new()));
    }
    file_system("overlay", &options, WRITABLE)
}

pub(super) fn file_system(
    kind: &'static str,
    options: &[(&str, String)],
    attributes: MountAttrFlags,
) -> Result<Detached, MountError> {
    let make = || -> rustix::io::Result<OwnedFd> {
        let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (name, value) in options {
            if value.is_empty() {
                rustix::mount::fsconfig_set_flag(&context, *name)?;
            } else {
                rustix::mount::fsconfig_set_string(&context, *name, value)?;
            }
        }
        rustix::mount::fsconfig_create(&context)?;
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    let mount = make().map_err(|e| MountError::MakeFileSystem { kind, source: e.into() })?;
    Ok(Detached { mount, is_folder: true })
}

/// Mounts at `to`, an absolute path, making what is missing on the way. `root` is the folder that `/` means.
pub(super) fn attach(detached: &Detached, root: impl AsFd, to: &Path) -> Result<(), MountError> {
    let point = mount_point(root, to, detached.is_folder)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(&detached.mount, "", &point, "", flags)
        .map_err(|e| MountError::Attach { path: to.to_owned(), source: e.into() })
}

/// Makes a folder for something to be mounted on later, when nothing can be made there any more.
pub(super) fn point(root: impl AsFd, at: &Path) -> Result<(), MountError> {
    mount_point(root, at, true).map(drop)
}

/// Walks one name at a time and follows no symbolic link: part of the way may lead through folders that hostile code
/// has written to.
fn mount_point(root: impl AsFd, to: &Path, is_folder: bool) -> Result<OwnedFd, MountError> {
    let bad = || MountError::BadTarget { path: to.to_owned() };
    let failed = |e: rustix::io::Errno| MountError::MakePoint { path: to.to_owned(), source: e.into() };
    let mut names = Vec::new();
    for component in to.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(name) => names.push(name),
            Component::Prefix(_) | Component::CurDir | Component::ParentDir => return Err(bad()),
        }
    }
    let (last, parents) = names.split_last().filter(|_| to.is_absolute()).ok_or_else(bad)?;
    let mut at =
        root.as_fd().try_clone_to_owned().map_err(|e| MountError::MakePoint { path: to.to_owned(), source: e })?;
    for name in parents {
        at = enter(&at, name).map_err(failed)?;
    }
    if is_folder {
        return enter(&at, last).map_err(failed);
    }
    let create = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::openat(&at, *last, create, Mode::from_raw_mode(0o644)) {
        Ok(_) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(failed(error)),
    }
    rustix::fs::openat(&at, *last, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).map_err(failed)
}

fn enter(at: &OwnedFd, name: &std::ffi::OsStr) -> rustix::io::Result<OwnedFd> {
    match rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    rustix::fs::openat(at, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Whether attributes are set on one mount or also on those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    This,
    Below,
}

/// Makes what is mounted on `at` below `root` read-only, and leaves what is mounted below it as it is.
pub(super) fn make_read_only(root: impl AsFd, at: &Path) -> Result<(), MountError> {
    let point = mount_point(root, at, true)?;
    set_attributes(point.as_fd(), READ_ONLY, Reach::This).map_err(MountError::SetAttributes)
}

/// The same for `/` itself.
pub(super) fn make_root_read_only() -> Result<(), MountError> {
    let root = open_path(Path::new("/"))?;
    set_attributes(root.descriptor.as_fd(), READ_ONLY, Reach::This).map_err(MountError::SetAttributes)
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Adds attributes. Unlike a remount it clears none, which a user namespace may not do.
#[expect(unsafe_code, reason = "mount_setattr has no safe form")]
fn set_attributes(mount: BorrowedFd<'_>, attributes: MountAttrFlags, reach: Reach) -> io::Result<()> {
    let wanted = Attributes { set: attributes.bits().into(), clear: 0, propagation: 0, user_namespace: 0 };
    let flags = match reach {
        Reach::This => libc::AT_EMPTY_PATH,
        Reach::Below => libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
    };
    // SAFETY: the descriptor is open for the length of the call; the path is a static C string; the structure has the
    // kernel's layout (four u64) and its size is passed with it; the kernel only reads from both.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const wanted,
            size_of::<Attributes>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn is_folder(descriptor: impl AsFd) -> rustix::io::Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(descriptor)?.st_mode) == FileType::Directory)
}

/// The folder `path`, as a place to attach below.
pub(super) fn open_root(path: &Path) -> Result<OwnedFd, MountError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|e| MountError::OpenSource { path: path.to_owned(), source: e.into() })
}
