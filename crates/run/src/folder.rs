//! Files of a run, written and read beneath the descriptor of its folder: no path of the guest's is followed by name.

use std::fs::File as OpenFile;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RawDir, ResolveFlags, Uid};
use rustix::io::Errno;
use skylift_model::FilePath;
use skylift_model::run::File;

/// No link, no mount, nothing above.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
/// How deep folders of a guest's are walked, and how many names are looked at in all.
const DEPTH_MAX: usize = 16;
const NAMES_MAX: usize = 10_000;

/// Puts files into a folder, before anything runs there. They and the folders above them belong to `owner`, where we may give
/// them away.
pub(crate) fn put(folder: BorrowedFd<'_>, files: &[File], owner: u32, executable: bool) -> io::Result<()> {
    for File { path, bytes } in files {
        let mut made = folder.try_clone_to_owned()?;
        let mut parts = path.parts().peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_some() {
                made = enter(&made, part, owner)?;
                continue;
            }
            let mode = if executable { 0o755 } else { 0o644 };
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file = rustix::fs::openat(&made, part, flags, Mode::from_raw_mode(mode))?;
            give(&file, owner)?;
            OpenFile::from(file).write_all(bytes)?;
        }
    }
    Ok(())
}

/// Makes an empty folder, for the guest to write to.
pub(crate) fn make_folder(folder: BorrowedFd<'_>, name: &str, owner: u32) -> io::Result<()> {
    enter(&folder.try_clone_to_owned()?, name, owner).map(drop)
}

fn enter(above: &OwnedFd, name: &str, owner: u32) -> io::Result<OwnedFd> {
    let made = match rustix::fs::mkdirat(above, name, Mode::from_raw_mode(0o755)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error.into()),
    };
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let folder = rustix::fs::openat2(above, name, flags, Mode::empty(), BENEATH)?;
    if made {
        give(&folder, owner)?;
    }
    Ok(folder)
}

fn give(file: &OwnedFd, owner: u32) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        rustix::fs::fchown(file, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))?;
    }
    Ok(())
}

/// What may be read of what a guest left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) files: usize,
    pub(crate) bytes: usize,
}

/// What was read of what a guest left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// In the order of their paths.
    pub(crate) files: Vec<File>,
    /// Whether there is nothing else that was wanted, as far as all was looked at.
    pub(crate) is_all: bool,
}

/// Ordinary files below a folder whose path is wanted, in the order of their paths, each that still fits into what may be read. Links and
/// whatever else is no file are left out, and so is what has no name that a path may have, or what the guest has closed to us where we are
/// not root.
///
/// Which files these are follows from what lies there alone, never from the order in which a folder happens to tell its names.
pub(crate) fn take(folder: BorrowedFd<'_>, most: Most, is_wanted: impl Fn(&FilePath) -> bool) -> io::Result<Left> {
    let mut found = Found { paths: Vec::new(), names_left: NAMES_MAX, is_all: true };
    // What is held may be a descriptor that only names the folder.
    if let Some(own) = open_folder(folder, ".")? {
        walk(own.as_fd(), "", 0, &mut found)?;
    }
    found.paths.sort();
    let mut left = Left { files: Vec::new(), is_all: found.is_all };
    let mut bytes_left = most.bytes;
    for path in found.paths.into_iter().filter(is_wanted) {
        let Some(file) = open(folder, &path)? else { continue };
        if left.files.len() == most.files {
            left.is_all = false;
            break;
        }
        match read(file, bytes_left)? {
            Some(bytes) => {
                bytes_left = bytes_left.saturating_sub(bytes.len());
                left.files.push(File { path, bytes });
            }
            None => left.is_all = false,
        }
    }
    Ok(left)
}

/// What a walk has come upon.
struct Found {
    paths: Vec<FilePath>,
    names_left: usize,
    is_all: bool,
}

/// Folders follow each other by their names. One that is too deep, or with more names than may still be looked at, is left out whole, the
/// latter with all that follow.
fn walk(folder: BorrowedFd<'_>, above: &str, depth: usize, found: &mut Found) -> io::Result<()> {
    if depth > DEPTH_MAX || found.names_left == 0 {
        found.is_all = false;
        return Ok(());
    }
    let (mut files, mut folders, mut count) = (Vec::new(), Vec::new(), 0);
    let mut buffer = Vec::with_capacity(16 << 10);
    let mut entries = RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(io::Error::from)?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        count += 1;
        if count > found.names_left {
            (found.names_left, found.is_all) = (0, false);
            return Ok(());
        }
        let Ok(name) = entry.file_name().to_str() else { continue };
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
        match entry.file_type() {
            FileType::Directory => folders.push((name.to_owned(), path)),
            FileType::RegularFile => files.extend(path.parse::<FilePath>().ok()),
            _ => {}
        }
    }
    found.names_left -= count;
    found.paths.append(&mut files);
    folders.sort();
    for (name, path) in folders {
        let Some(below) = open_folder(folder, &name)? else { continue };
        walk(below.as_fd(), &path, depth + 1, found)?;
    }
    Ok(())
}

/// A folder for reading; `None` where its modes do not let us.
fn open_folder(above: BorrowedFd<'_>, name: &str) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    match rustix::fs::openat2(above, name, flags, Mode::empty(), BENEATH) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::ACCESS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// All of a file; `None` where that is more than `most` bytes, of which none is read then.
fn read(file: OpenFile, most: usize) -> io::Result<Option<Vec<u8>>> {
    if file.metadata()?.len() > most as u64 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // Nobody is left who could make it longer.
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// An ordinary file for reading; `None` where it is none.
pub(crate) fn open(folder: BorrowedFd<'_>, path: &FilePath) -> io::Result<Option<OpenFile>> {
    // Neither waits for whoever might open the other end of a pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::openat2(folder, path.as_str(), flags, Mode::empty(), BENEATH) {
        Ok(file) => file,
        Err(Errno::LOOP | Errno::NOENT | Errno::XDEV | Errno::NXIO | Errno::ACCESS) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stat = rustix::fs::statat(&file, "", AtFlags::EMPTY_PATH)?;
    let is_ordinary = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    Ok(is_ordinary.then(|| file.into()))
}

#[cfg(test)]
mod tests;
