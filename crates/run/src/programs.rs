//! Programs that were compiled already, by what they were compiled of: kept in a folder up to a number of bytes; what was used
//! longest ago goes first.
//!
//! What a compiler leaves, which runs a user's bytes and may be hostile, is taken as bytes under the key of its own job, and that key has
//! whose job it was in it: the worst that somebody puts here is what they are given back themselves. Nothing in here is ever
//! executed, or taken for anything but bytes, outside a sandbox.

mod entry;
mod flights;
mod key;
mod shelf;

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use skylift_durable as durable;
use skylift_model::Digest;
use skylift_model::run::{File, Step};

pub(crate) use flights::Flights;
pub(crate) use key::{Made, key, stamps_of};
use shelf::Shelf;

/// What compiling came to, where it came to something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// What the compiler said and used.
    pub(crate) step: Step,
    /// What it left.
    pub(crate) files: Vec<File>,
}

/// Compiled programs of one worker.
#[derive(Debug)]
pub struct Programs {
    folder: PathBuf,
    shelf: Mutex<Shelf>,
    writes: AtomicU64,
}

/// One that is larger than this part of everything would push out too much else.
const LARGEST_PART: u64 = 4;
const PARTIAL: &str = "partial-";

impl Programs {
    /// Those in a folder, which is ours alone, up to `bytes_max`; none are kept where that is 0. Reads the folder's names.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn open(folder: &Path, bytes_max: u64) -> io::Result<Self> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let key = entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok());
            match (key, entry.metadata()) {
                (Some(key), Ok(about)) if about.is_file() => {
                    found.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), key, about.len()));
                }
                // Whatever was half written by a process that was killed.
                _ => remove(&entry.path()),
            }
        }
        found.sort();
        let programs =
            Self { folder: folder.to_owned(), shelf: Mutex::new(Shelf::new(bytes_max)), writes: AtomicU64::new(0) };
        for (_, key, bytes) in found {
            programs.note(key, bytes);
        }
        Ok(programs)
    }

    /// What was built under a key. What cannot be read, or is not what was written, is gone. Blocks.
    pub(crate) fn find(&self, key: &Digest) -> Option<Built> {
        if !self.shelf().touch(key) {
            return None;
        }
        let path = self.path(key);
        let built = fs::read(&path).ok().and_then(|bytes| entry::parse(&bytes));
        if built.is_none() {
            self.shelf().forget(key);
            remove(&path);
            return None;
        }
        // Of use only after the next start, so that it may fail.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let kept = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let times = Timestamps { last_access: kept, last_modification: now };
        let _ = rustix::fs::utimensat(rustix::fs::CWD, &path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        built
    }

    /// Keeps what was built under a key, and lets go of what is too much then. Blocks.
    pub(crate) fn keep(&self, key: &Digest, built: &Built) {
        let bytes = entry::bytes(built);
        let length = bytes.len() as u64;
        if length > self.shelf().bytes_max() / LARGEST_PART {
            return;
        }
        match self.write(key, &bytes) {
            Ok(()) => self.note(*key, length),
            Err(error) => tracing::warn!(%error, "a compiled program is not kept"),
        }
    }

    /// Under another name first: whoever finds it finds the whole.
    fn write(&self, key: &Digest, bytes: &[u8]) -> io::Result<()> {
        let partial = self.folder.join(format!("{PARTIAL}{}", self.writes.fetch_add(1, Ordering::Relaxed)));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = durable::create(&options, &partial)
            .and_then(|mut file| durable::write_all(&mut file, bytes))
            .and_then(|()| durable::rename_losable(&partial, &self.path(key)));
        if written.is_err() {
            remove(&partial);
        }
        written
    }

    fn note(&self, key: Digest, bytes: u64) {
        let gone = self.shelf().put(key, bytes);
        gone.iter().for_each(|key| remove(&self.path(key)));
    }

    fn path(&self, key: &Digest) -> PathBuf {
        self.folder.join(key.to_string())
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove a compiled program");
    }
}

#[cfg(test)]
mod tests;
