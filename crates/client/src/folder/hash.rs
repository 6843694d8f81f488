//! Hashes the files of a folder, all cores at once, each file in one pass and a small buffer.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use rayon::prelude::*;
use skylift_model::digest::Hasher;
use skylift_model::{Digest, FileEntry, FileMode, FilePath};

use super::cache::{self, Cache, Stamp};
use super::walk::{mode_of, read_failed};
use super::{FolderError, Walked};

const BUFFER_BYTES: usize = 128 << 10;

/// Told how far hashing is. Called from several threads.
pub trait HashProgress: Sync {
    /// So many files will be looked at.
    fn files(&self, count: u64);
    /// One file is known: read, or found unchanged.
    fn file_done(&self);
}

impl HashProgress for () {
    fn files(&self, _: u64) {}
    fn file_done(&self) {}
}

struct Hashed {
    entry: FileEntry,
    stamp: Stamp,
    /// Whether its bytes had to be read.
    was_read: bool,
}

/// The entries of all files, in the order of `walked`.
pub(super) fn hash(
    walked: &Walked,
    cache: Option<&Path>,
    now: SystemTime,
    progress: &dyn HashProgress,
) -> Result<Vec<FileEntry>, FolderError> {
    progress.files(walked.files.len() as u64);
    let remembered = cache.map(|cache| Cache::load(cache, &walked.root)).unwrap_or_default();
    let one = |path: &FilePath| {
        let hashed = hash_one(&walked.root, path, &remembered);
        progress.file_done();
        hashed
    };
    let hashed = walked.files.par_iter().with_min_len(64).map(one).collect::<Result<Vec<_>, _>>()?;
    let is_stale = hashed.len() != remembered.len() || hashed.iter().any(|file| file.was_read);
    if let Some(cache) = cache.filter(|_| is_stale) {
        let entries = hashed.iter().map(|file| (file.entry.path.as_str(), file.stamp, file.entry.sha256));
        cache::store(cache, &walked.root, now, entries);
    }
    Ok(hashed.into_iter().map(|file| file.entry).collect())
}

fn hash_one(root: &Path, path: &FilePath, remembered: &Cache) -> Result<Hashed, FolderError> {
    let absolute = root.join(path.as_str());
    let metadata = fs::symlink_metadata(&absolute).map_err(|source| read_failed(&absolute, source))?;
    let (stamp, mode) = (Stamp::of(&metadata), mode_of(&metadata));
    let mode = mode.ok_or_else(|| FolderError::Changed(absolute.clone()))?;
    let known = remembered.get(path.as_str(), stamp);
    let (sha256, size) = match (known, mode) {
        (Some(digest), _) => (digest, metadata.len()),
        (None, FileMode::Symlink) => hash_link(&absolute)?,
        (None, FileMode::File | FileMode::Executable) => hash_file(&absolute)?,
    };
    Ok(Hashed { entry: FileEntry { path: path.clone(), sha256, size, mode }, stamp, was_read: known.is_none() })
}

fn hash_link(path: &Path) -> Result<(Digest, u64), FolderError> {
    let target = fs::read_link(path).map_err(|source| read_failed(path, source))?;
    let bytes = target.as_os_str().as_bytes();
    Ok((Digest::of(bytes), bytes.len() as u64))
}

/// The digest and the length of the bytes it is of, which is what counts where the file grows meanwhile.
fn hash_file(path: &Path) -> Result<(Digest, u64), FolderError> {
    thread_local! {
        static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; BUFFER_BYTES]);
    }
    let failed = |source| read_failed(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut size) = (Hasher::new(), 0);
    BUFFER.with_borrow_mut(|buffer| {
        loop {
            match file.read(buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    hasher.update(buffer.get(..count).unwrap_or_default());
                    size += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    })?;
    Ok((hasher.finish(), size))
}

#[cfg(test)]
mod tests;
