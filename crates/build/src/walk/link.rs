//! Links in a build's output: each becomes the file it leads to, as long as that lies in the output too.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use skylift_model::FilePath;

use super::failure::{Failure, not_taken, unreadable};
use super::skip::Skip;

/// Opens the file that the link at `path` below `root` leads to.
pub(super) fn resolve(root: BorrowedFd<'_>, path: &FilePath, skip: &Skip) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let opened = rustix::fs::openat2(root, path.as_str(), flags, Mode::empty(), inside);
    let file = opened.map_err(|error| match error {
        Errno::XDEV => not_taken(path.as_str(), "it is a symbolic link that leads outside"),
        Errno::NOENT => not_taken(path.as_str(), "it is a symbolic link to nothing"),
        Errno::LOOP => not_taken(path.as_str(), "it is a symbolic link that leads back to itself"),
        error => unreadable(path.as_str(), error),
    })?;
    let stat = rustix::fs::fstat(&file).map_err(|error| unreadable(path.as_str(), error))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => {
            return Err(not_taken(path.as_str(), "it is a symbolic link to a folder; copy the folder"));
        }
        _ => return Err(not_taken(path.as_str(), "it is a symbolic link to something that is no file")),
    }
    if leads_to_skipped(root, file.as_fd(), skip).map_err(|error| unreadable(path.as_str(), error))? {
        return Err(not_taken(path.as_str(), "it is a symbolic link to something that is left out"));
    }
    Ok(file)
}

/// Whether the file has, below the root, a name that is skipped: a link must not bring out what its target may not.
fn leads_to_skipped(root: BorrowedFd<'_>, file: BorrowedFd<'_>, skip: &Skip) -> std::io::Result<bool> {
    let (root, file) = (real_path(root)?, real_path(file)?);
    let Ok(below) = file.strip_prefix(&root) else { return Ok(true) };
    Ok(below.components().any(|part| skip.skips(part.as_os_str().as_bytes())))
}

fn real_path(fd: BorrowedFd<'_>) -> std::io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}
