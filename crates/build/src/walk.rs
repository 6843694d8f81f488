//! A folder inside the sandbox, read out as frames.
//!
//! Every name is opened relative to an open folder and never through a link, so that a process left over in the sandbox
//! cannot swap a folder for a link while it is read. Files come in the order of their names, folder by folder.

mod failure;
mod link;
mod skip;

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use skylift_model::{FileMode, FilePath};

use crate::frames::{FrameWriter, IntakeLimits, LinkRule, WriteError};
use failure::{Failure, not_taken, odd, too_large, unreadable};
pub use skip::Skip;

/// How a folder is read.
#[derive(Clone, Copy, Debug)]
pub struct WalkRules {
    /// What is left out by name.
    pub skip: Skip,
    /// What becomes of symbolic links.
    pub links: Links,
    /// What becomes of pipes and sockets, and of names that cannot be written down.
    pub odd: Odd,
    /// How much the folder may hold.
    pub limits: IntakeLimits,
}

/// What becomes of entries that are no files, folders or links, or have names that no list of files can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// The folder is not taken.
    Refuse,
    /// They are left out and counted: packages hold all kinds of things.
    LeaveOut,
}

/// What becomes of symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// They stay links, where they cannot lead outside: sources.
    Keep,
    /// They stay links wherever they lead: programs, whose files nobody but themselves opens.
    KeepAll,
    /// They become the file they lead to, which must lie inside: what a build made, which is served.
    Resolve,
}

impl WalkRules {
    /// For a source: a clone's work tree.
    pub fn source(limits: IntakeLimits) -> Self {
        Self { skip: Skip::SOURCE, links: Links::Keep, odd: Odd::Refuse, limits }
    }

    /// For a build's output.
    pub fn output(limits: IntakeLimits) -> Self {
        Self { skip: Skip::OUTPUT, links: Links::Resolve, odd: Odd::Refuse, limits }
    }

    /// For a program: a build's whole work folder.
    pub fn program(limits: IntakeLimits) -> Self {
        Self { skip: Skip::PROGRAM, links: Links::KeepAll, odd: Odd::LeaveOut, limits }
    }
}

/// Writes the files below `root` to `out` as frames, or an error frame that says why not. An empty folder is no error.
/// An error means that `out` could not be written.
pub fn walk(root: &Path, out: impl Write, rules: &WalkRules) -> io::Result<()> {
    let frames = FrameWriter::new(BufWriter::with_capacity(64 << 10, out))?;
    walk_into(root, frames, rules)
}

/// As [`walk`], into a stream that may have a note already. Ends the stream.
pub(crate) fn walk_into<W: Write>(root: &Path, mut frames: FrameWriter<W>, rules: &WalkRules) -> io::Result<()> {
    match read(root, &mut frames, rules) {
        Ok(skipped) => frames.finish(skipped),
        Err(Failure::Refused(refusal) | Failure::Odd(refusal)) => frames.fail(&refusal),
        Err(Failure::Out(error)) => Err(error),
    }
}

fn read<W: Write>(root: &Path, frames: &mut FrameWriter<W>, rules: &WalkRules) -> Result<u64, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat2(rustix::fs::CWD, root, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
    let opened = opened.map_err(|error| failure::root(root, error))?;
    let top = opened.try_clone().map_err(|error| unreadable(".", error))?;
    let seen_max = rules.limits.files_max.saturating_mul(5);
    let mut walker = Walker { frames, rules, root: opened, skipped: 0, seen: 0, seen_max };
    walker.folder(top, "")?;
    Ok(walker.skipped)
}

struct Walker<'a, W: Write> {
    frames: &'a mut FrameWriter<W>,
    rules: &'a WalkRules,
    root: OwnedFd,
    skipped: u64,
    /// How many names were seen, those of folders and of what is skipped included.
    seen: u64,
    seen_max: u64,
}

impl<W: Write> Walker<'_, W> {
    /// Reads one folder; `above` is its path with a `/` at the end. The depth is bounded by that of a [`FilePath`].
    fn folder(&mut self, folder: OwnedFd, above: &str) -> Result<(), Failure> {
        for name in self.names(&folder, above)? {
            let is_cache = || name.to_str().is_ok_and(|name| self.rules.skip.skips_cache(&format!("{above}{name}")));
            if self.rules.skip.skips(name.as_bytes()) || is_cache() {
                self.skipped += 1;
                continue;
            }
            match self.named(&folder, &name, above) {
                Err(Failure::Odd(_)) if self.rules.odd == Odd::LeaveOut => self.skipped += 1,
                Err(Failure::Odd(refusal)) => return Err(Failure::Refused(refusal)),
                other => other?,
            }
        }
        Ok(())
    }

    fn named(&mut self, folder: &OwnedFd, name: &CStr, above: &str) -> Result<(), Failure> {
        let shown = format!("{above}{}", name.to_string_lossy());
        let text = name.to_str().map_err(|_| odd(&shown, "its name is not UTF-8"))?;
        let path: FilePath = format!("{above}{text}").parse().map_err(|error| odd(&shown, error))?;
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(|error| unreadable(&shown, error))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = rustix::fs::openat(folder, name, flags, Mode::empty());
                self.folder(below.map_err(|error| unreadable(&shown, error))?, &format!("{path}/"))
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = rustix::fs::openat(folder, name, flags, Mode::empty());
                self.file(&path, file.map_err(|error| unreadable(&shown, error))?)
            }
            FileType::Symlink => match self.rules.links {
                Links::Keep => self.keep_link(folder, name, &path, LinkRule::Inside),
                Links::KeepAll => self.keep_link(folder, name, &path, LinkRule::Any),
                Links::Resolve => {
                    let file = link::resolve(self.root.as_fd(), &path, &self.rules.skip)?;
                    self.file(&path, file)
                }
            },
            FileType::Fifo => Err(odd(&shown, "it is a named pipe")),
            FileType::Socket => Err(odd(&shown, "it is a socket")),
            FileType::CharacterDevice | FileType::BlockDevice => Err(odd(&shown, "it is a device")),
            FileType::Unknown => Err(odd(&shown, "it is of an unknown kind")),
        }
    }

    fn file(&mut self, path: &FilePath, file: OwnedFd) -> Result<(), Failure> {
        let before = rustix::fs::fstat(&file).map_err(|error| unreadable(path.as_str(), error))?;
        if FileType::from_raw_mode(before.st_mode) != FileType::RegularFile {
            return Err(not_taken(path.as_str(), "it stopped being a file while it was read"));
        }
        let size = u64::try_from(before.st_size).unwrap_or_default();
        self.admit(path, size)?;
        let mode = if before.st_mode & 0o100 != 0 { FileMode::Executable } else { FileMode::File };
        let mut file = File::from(file);
        match self.frames.entry(path, mode, size, &mut file) {
            Ok(()) => {}
            Err(WriteError::Out(error)) => return Err(Failure::Out(error)),
            Err(WriteError::Source(error)) => return Err(unreadable(path.as_str(), error)),
            Err(WriteError::Short { .. }) => return Err(changed(path)),
        }
        let after = rustix::fs::fstat(&file).map_err(|error| unreadable(path.as_str(), error))?;
        if after.st_size == before.st_size { Ok(()) } else { Err(changed(path)) }
    }

    fn keep_link(&mut self, folder: &OwnedFd, name: &CStr, path: &FilePath, rule: LinkRule) -> Result<(), Failure> {
        let target = rustix::fs::readlinkat(folder, name, Vec::new());
        let target = target.map_err(|error| unreadable(path.as_str(), error))?;
        let target = target.as_bytes();
        rule.check(path, target).map_err(|error| odd(path.as_str(), error))?;
        self.admit(path, target.len() as u64)?;
        self.frames.whole(path, FileMode::Symlink, target).map_err(|error| Failure::Out(io::Error::other(error)))
    }

    /// The names in a folder, sorted.
    fn names(&mut self, folder: &OwnedFd, above: &str) -> Result<Vec<std::ffi::CString>, Failure> {
        let shown = if above.is_empty() { "." } else { above };
        let entries = Dir::read_from(folder).map_err(|error| unreadable(shown, error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(shown, error))?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            self.seen += 1;
            if self.seen > self.seen_max {
                return Err(too_large(format!("the folder holds more than {} files and folders", self.seen_max)));
            }
            names.push(entry.file_name().to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn admit(&self, path: &FilePath, size: u64) -> Result<(), Failure> {
        let limits = &self.rules.limits;
        if size > limits.file_bytes_max {
            let max = limits.file_bytes_max;
            return Err(too_large(format!("`{path}` has {size} bytes; a file may have {max}")));
        }
        if self.frames.files() >= limits.files_max {
            return Err(too_large(format!("the folder holds more than {} files", limits.files_max)));
        }
        if self.frames.bytes().saturating_add(size) > limits.bytes_max {
            return Err(too_large(format!("the folder's files have more than {} bytes together", limits.bytes_max)));
        }
        Ok(())
    }
}

fn changed(path: &FilePath) -> Failure {
    not_taken(path.as_str(), "it changed while it was read")
}
