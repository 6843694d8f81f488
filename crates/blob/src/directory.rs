//! Blobs as files of a folder.
//!
//! ```text
//! sha256/ab/abcdef…   a blob, read-only, named by its digest
//! objects/output/…    a named object
//! lost/abcdef…        a note: whoever read this blob found it damaged or missing
//! partial/…           bytes on their way to a name; emptied at start
//! ```

mod lost;
mod objects;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use skylift_durable as durable;
use skylift_durable::{Defence, left_out};
use skylift_model::Digest;
use skylift_model::digest::Hasher;

use crate::checked::Checked;
use crate::error::{BlobError, failed};
use lost::Lost;

/// From this many files on, one sync of the file system is cheaper than one for each file.
const SYNC_EACH_MAX: usize = 8;

/// A blob opened for reading. Its bytes were checked.
#[derive(Debug)]
pub struct Stored {
    /// The open file, at its start.
    pub file: File,
    /// Its length in bytes.
    pub size: u64,
}

/// Whether what is stored must survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Synced before anybody is told.
    Synced,
    /// It can be had again from elsewhere.
    Losable,
}

pub(crate) struct Directory {
    root: PathBuf,
    durability: Durability,
    next_partial: AtomicU64,
    checked: Checked,
    corrupt: AtomicU64,
    lost: Lost,
    /// Storing takes it shared, removing takes it alone: see [`Directory::delete_stale`].
    removal: RwLock<()>,
}

impl Directory {
    pub(crate) fn open(root: &Path, durability: Durability) -> Result<Self, BlobError> {
        let partial = root.join("partial");
        fs::create_dir_all(&partial).map_err(failed("create", &partial))?;
        for entry in fs::read_dir(&partial).map_err(failed("list", &partial))?.flatten() {
            // What a killed process left behind; nobody was told it was stored.
            let _ = fs::remove_file(entry.path());
        }
        let blobs = root.join("sha256");
        fs::create_dir_all(&blobs).map_err(failed("create", &blobs))?;
        // Where they must be durable they are made before anything lies in them; else when they are needed.
        for shard in (0..=255_u8).filter(|_| durability == Durability::Synced) {
            let shard = blobs.join(format!("{shard:02x}"));
            fs::create_dir_all(&shard).map_err(failed("create", &shard))?;
        }
        let objects = root.join("objects");
        fs::create_dir_all(&objects).map_err(failed("create", &objects))?;
        Ok(Self {
            root: root.to_owned(),
            durability,
            next_partial: AtomicU64::new(0),
            checked: Checked::new(),
            corrupt: AtomicU64::new(0),
            lost: Lost::open(root.join("lost"))?,
            removal: RwLock::new(()),
        })
    }

    fn path_of(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        let shard = name.get(..2).unwrap_or_default();
        self.root.join("sha256").join(shard).join(&name)
    }

    pub(crate) fn create_partial(&self) -> Result<(PathBuf, File), BlobError> {
        let number = self.next_partial.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join("partial").join(format!("{}-{number}", std::process::id()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o444);
        let create = || durable::create(&options, &path);
        let file = self.with_folder(&path, create).map_err(failed("create", &path))?;
        Ok((path, file))
    }

    /// Does something with a path; where its folder is gone and may be, makes it and tries again.
    fn with_folder<T>(&self, path: &Path, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let done = act();
        let is_gone = done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        match path.parent() {
            Some(folder) if is_gone && self.durability == Durability::Losable => {
                durable::create_folders(folder)?;
                act()
            }
            _ => done,
        }
    }

    /// Gives written and synced bytes their name. The caller syncs the folder.
    fn adopt(&self, partial: &Path, file: &File, digest: &Digest) -> Result<PathBuf, BlobError> {
        let path = self.path_of(digest);
        let rename = || match self.durability {
            Durability::Synced => durable::rename(partial, &path),
            Durability::Losable => durable::rename_losable(partial, &path),
        };
        self.with_folder(&path, rename).map_err(failed("rename to", &path))?;
        self.checked.remember(digest, file);
        Ok(path.parent().unwrap_or(&self.root).to_owned())
    }

    /// Whether the blob is there already, whole; if so it counts as stored just now, so that clean-up spares it. One
    /// that was damaged is not there: it is stored again, which repairs it.
    fn refresh(&self, digest: &Digest, size: u64) -> bool {
        let Ok(file) = File::open(self.path_of(digest)) else { return false };
        let is_whole = file.metadata().is_ok_and(|meta| meta.len() == size)
            && (self.checked.knows(digest, &file).unwrap_or(false)
                || self.checked.check(digest, &file).unwrap_or(false));
        is_whole && self.checked.touching(digest, &file, || file.set_modified(SystemTime::now())).is_ok()
    }

    pub(crate) fn put_all(&self, all: &[Vec<u8>]) -> Result<Vec<Digest>, BlobError> {
        let _storing = self.removal.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let digests: Vec<Digest> = all.iter().map(|bytes| Digest::of(bytes)).collect();
        let mut written = Vec::new();
        for (bytes, digest) in all.iter().zip(&digests) {
            if self.refresh(digest, bytes.len() as u64) {
                continue;
            }
            let (path, mut file) = self.create_partial()?;
            durable::write_all(&mut file, bytes).map_err(failed("write", &path))?;
            written.push((path, file, *digest));
        }
        self.publish(written)?;
        digests.iter().for_each(|digest| self.is_whole(digest));
        Ok(digests)
    }

    /// Syncs written files, gives them their names, syncs the names.
    fn publish(&self, written: Vec<(PathBuf, File, Digest)>) -> Result<(), BlobError> {
        match written.as_slice() {
            _ if self.durability == Durability::Losable => {}
            [(path, file, _), _, ..] if written.len() > SYNC_EACH_MAX => {
                durable::sync_file_system(file).map_err(failed("sync", path))?;
            }
            files => {
                for (path, file, _) in files {
                    durable::sync_file(file).map_err(failed("sync", path))?;
                }
            }
        }
        let mut folders = std::collections::BTreeSet::new();
        for (path, file, digest) in &written {
            folders.insert(self.adopt(path, file, digest)?);
        }
        for folder in folders.into_iter().filter(|_| self.durability == Durability::Synced) {
            durable::sync_folder(&folder).map_err(failed("sync", &folder))?;
        }
        Ok(())
    }

    /// Ends a [`crate::BlobWriter`].
    pub(crate) fn finish_partial(&self, path: PathBuf, file: File, size: u64, digest: Digest) -> Result<(), BlobError> {
        let _storing = self.removal.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.refresh(&digest, size) {
            let _ = fs::remove_file(&path);
        } else {
            self.publish(vec![(path, file, digest)])?;
        }
        self.is_whole(&digest);
        Ok(())
    }

    /// Opens a blob whose bytes were checked, now or before. Blocking: a large one that is not remembered is read.
    pub(crate) fn open_file(&self, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        let Some(stored) = self.open_unchecked(digest)? else { return Ok(None) };
        if !self.is_checked(digest, &stored)? {
            self.check(digest, &stored)?;
        }
        Ok(Some(stored))
    }

    /// Opens a blob without looking at its bytes.
    pub(crate) fn open_unchecked(&self, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        let path = self.path_of(digest);
        match File::open(&path) {
            Ok(file) => {
                let size = file.metadata().map_err(failed("read", &path))?.len();
                Ok(Some(Stored { file, size }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.is_lost(digest);
                Ok(None)
            }
            Err(error) => Err(failed("open", &path)(error)),
        }
    }

    /// Whether the open blob is as it was when it was last checked.
    pub(crate) fn is_checked(&self, digest: &Digest, stored: &Stored) -> Result<bool, BlobError> {
        let is_known = self.checked.knows(digest, &stored.file).map_err(failed("look at", &self.path_of(digest)))?;
        if is_known {
            self.is_whole(digest);
        }
        Ok(is_known)
    }

    /// Reads all of an open blob; an error unless it is what its name promises.
    pub(crate) fn check(&self, digest: &Digest, stored: &Stored) -> Result<(), BlobError> {
        let fine = self.checked.check(digest, &stored.file).map_err(failed("read", &self.path_of(digest)))?;
        if !fine && !left_out(Defence::Digest) {
            return Err(self.is_corrupt(digest));
        }
        self.is_whole(digest);
        Ok(())
    }

    fn is_corrupt(&self, digest: &Digest) -> BlobError {
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        self.is_lost(digest);
        BlobError::Corrupt(*digest)
    }

    /// How many times a blob was found damaged.
    pub(crate) fn corrupt(&self) -> u64 {
        self.corrupt.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, BlobError> {
        let Some(stored) = self.open_unchecked(digest)? else { return Ok(None) };
        if stored.size > bytes_max {
            return Err(BlobError::TooLarge { digest: *digest, size: stored.size, bytes_max });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(stored.size).unwrap_or(0));
        stored.file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed("read", &self.path_of(digest)))?;
        if Digest::of(&bytes) != *digest && !left_out(Defence::Digest) {
            return Err(self.is_corrupt(digest));
        }
        self.is_whole(digest);
        Ok(Some(bytes))
    }

    pub(crate) fn contains(&self, digest: &Digest) -> Result<bool, BlobError> {
        let path = self.path_of(digest);
        Ok(path.try_exists().map_err(failed("look at", &path))? && !self.lost().contains(digest))
    }

    pub(crate) fn link_into(&self, digest: &Digest, to: &Path) -> Result<(), BlobError> {
        let stored = self.open_file(digest)?.ok_or(BlobError::Missing(*digest))?;
        self.link(digest, &stored, to)
    }

    /// Links an open blob; copies it where its name went meanwhile or links cannot be made.
    pub(crate) fn link(&self, digest: &Digest, stored: &Stored, to: &Path) -> Result<(), BlobError> {
        let link = || durable::hard_link(&self.path_of(digest), to);
        if self.checked.touching(digest, &stored.file, link).is_ok() {
            return Ok(());
        }
        copy(stored, to, 0o444)
    }

    /// Forgets a blob, where it is there.
    pub(crate) fn remove(&self, digest: &Digest) -> Result<(), BlobError> {
        let path = self.path_of(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn list(&self) -> Result<Vec<(Digest, fs::Metadata)>, BlobError> {
        let mut blobs = Vec::new();
        let root = self.root.join("sha256");
        for shard in fs::read_dir(&root).map_err(failed("list", &root))?.flatten() {
            let shard = shard.path();
            for entry in fs::read_dir(&shard).map_err(failed("list", &shard))?.flatten() {
                let digest = entry.file_name().to_str().and_then(|name| name.parse().ok());
                if let (Some(digest), Ok(meta)) = (digest, entry.metadata()) {
                    blobs.push((digest, meta));
                }
            }
        }
        Ok(blobs)
    }

    pub(crate) fn delete_stale(&self, digests: &[Digest], grace: Duration, now: SystemTime) -> Result<u64, BlobError> {
        let mut freed = 0;
        for digest in digests {
            let _removing = self.removal.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let path = self.path_of(digest);
            let Ok(meta) = fs::metadata(&path) else { continue };
            let stale = meta.modified().is_ok_and(|stored| now.duration_since(stored).is_ok_and(|age| age >= grace));
            if stale {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                freed += meta.len();
            }
        }
        Ok(freed)
    }
}

/// Copies an open blob to a new file.
pub(crate) fn copy(stored: &Stored, to: &Path, mode: u32) -> Result<(), BlobError> {
    let target = durable::create(OpenOptions::new().write(true).create_new(true).mode(mode), to);
    let mut target = target.map_err(failed("create", to))?;
    durable::copy(&mut &stored.file, &mut target).map_err(failed("write", to))?;
    Ok(())
}

/// Hashes while writing; the state of a [`crate::BlobWriter`].
pub(crate) struct Partial {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) hasher: Hasher,
    pub(crate) size: u64,
}

impl Partial {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        durable::write_all(&mut self.file, bytes).map_err(failed("write", &self.path))?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }
}
