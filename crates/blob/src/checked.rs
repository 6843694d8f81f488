//! Files that were seen to have the bytes their name promises.
//!
//! A file is read in full once, and again after anything touched it: its device, inode, size, or times of change are
//! what it is remembered by. The kernel sets the time of change itself; nobody can put it back. What decays on the
//! medium under an untouched file is found by the next process.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use quick_cache::sync::Cache;
use skylift_model::Digest;
use skylift_model::digest::Hasher;

/// How many files are remembered; about 100 bytes each.
const REMEMBERED_MAX: usize = 16_384;
const PIECE_BYTES: usize = 256 << 10;

/// What is remembered. Whoever holds the digest of a file asks here before its bytes go anywhere.
pub(crate) struct Checked(Cache<Digest, Stamp>);

/// What changes when somebody writes to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

impl Checked {
    pub(crate) fn new() -> Self {
        Self(Cache::new(REMEMBERED_MAX))
    }

    /// Whether the file is as it was when it was last read in full.
    pub(crate) fn knows(&self, digest: &Digest, file: &File) -> io::Result<bool> {
        let stamp = Stamp::of(file)?;
        Ok(self.0.get(digest) == Some(stamp))
    }

    /// Reads all of the file; whether its digest is the one in its name. Blocking.
    pub(crate) fn check(&self, digest: &Digest, file: &File) -> io::Result<bool> {
        // Before reading: what is written meanwhile makes another stamp.
        let stamp = Stamp::of(file)?;
        let fine = digest_of(file, stamp.size)? == Some(*digest);
        if fine {
            self.0.insert(*digest, stamp);
        } else {
            self.0.remove(digest);
        }
        Ok(fine)
    }

    /// Remembers a file whose bytes were hashed while they were written.
    pub(crate) fn remember(&self, digest: &Digest, file: &File) {
        if let Ok(stamp) = Stamp::of(file) {
            self.0.insert(*digest, stamp);
        }
    }

    /// Lets `touch` change the times or names of a file, not its bytes, without forgetting that it was checked.
    pub(crate) fn touching<T>(&self, digest: &Digest, file: &File, touch: impl FnOnce() -> T) -> T {
        let known = self.knows(digest, file).unwrap_or(false);
        let done = touch();
        if known {
            self.remember(digest, file);
        }
        done
    }
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            changed: (meta.ctime(), meta.ctime_nsec()),
            modified: (meta.mtime(), meta.mtime_nsec()),
        })
    }
}

/// The digest of the first `size` bytes; `None` where there are fewer.
fn digest_of(file: &File, size: u64) -> io::Result<Option<Digest>> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut at = 0;
    while at < size {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            return Ok(None);
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        at += read as u64;
    }
    Ok(Some(hasher.finish()))
}
