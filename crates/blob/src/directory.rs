//! Blobs as files of a folder.
//!
//! ```text
//! sha256/ab/abcdef…   a blob, read-only, named by its digest
//! objects/output/…    a named object
//! partial/…           bytes on their way to a name; emptied at start
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use skylift_durable as durable;
use skylift_model::Digest;
use skylift_model::digest::Hasher;

use crate::key::ObjectKey;

/// From this many files on, one sync of the file system is cheaper than one for each file.
const SYNC_EACH_MAX: usize = 8;

/// Why bytes could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("{step} {path}")]
    Io {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("blob {0} does not have the bytes its name promises")]
    Corrupt(Digest),
    #[error("blob {digest} has {size} bytes; at most {bytes_max} are taken here")]
    TooLarge { digest: Digest, size: u64, bytes_max: u64 },
    #[error("the bytes are those of {actual}, not of {expected}")]
    Mismatch { expected: Digest, actual: Digest },
    #[error("the process is shutting down")]
    Interrupted,
}

impl BlobError {
    /// Whether the disk is full, so that the caller can say so.
    pub fn is_out_of_space(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// A blob opened for reading.
#[derive(Debug)]
pub struct Stored {
    /// The open file, at its start.
    pub file: File,
    /// Its length in bytes.
    pub size: u64,
}

pub(crate) struct Directory {
    root: PathBuf,
    next_partial: AtomicU64,
    /// Storing takes it shared, removing takes it alone: see [`Directory::delete_stale`].
    removal: RwLock<()>,
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BlobError {
    move |source| BlobError::Io { step, path: path.to_owned(), source }
}

impl Directory {
    pub(crate) fn open(root: &Path) -> Result<Self, BlobError> {
        let partial = root.join("partial");
        fs::create_dir_all(&partial).map_err(failed("create", &partial))?;
        for entry in fs::read_dir(&partial).map_err(failed("list", &partial))?.flatten() {
            // What a killed process left behind; nobody was told it was stored.
            let _ = fs::remove_file(entry.path());
        }
        let blobs = root.join("sha256");
        for shard in 0..=255_u8 {
            let shard = blobs.join(format!("{shard:02x}"));
            fs::create_dir_all(&shard).map_err(failed("create", &shard))?;
        }
        let objects = root.join("objects");
        fs::create_dir_all(&objects).map_err(failed("create", &objects))?;
        Ok(Self { root: root.to_owned(), next_partial: AtomicU64::new(0), removal: RwLock::new(()) })
    }

    fn path_of(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join("sha256").join(&name[..2]).join(&name)
    }

    fn object_path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join("objects").join(key.as_str())
    }

    pub(crate) fn create_partial(&self) -> Result<(PathBuf, File), BlobError> {
        let number = self.next_partial.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join("partial").join(format!("{}-{number}", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&path);
        Ok((path.clone(), file.map_err(failed("create", &path))?))
    }

    /// Gives written and synced bytes their name. The caller syncs the folder.
    fn adopt(&self, partial: &Path, digest: &Digest) -> Result<PathBuf, BlobError> {
        let path = self.path_of(digest);
        durable::rename(partial, &path).map_err(failed("rename to", &path))?;
        Ok(path.parent().unwrap_or(&self.root).to_owned())
    }

    /// Whether the blob is there already; if so it counts as stored just now, so that clean-up spares it.
    fn refresh(&self, digest: &Digest, size: u64) -> bool {
        let path = self.path_of(digest);
        let Ok(file) = File::open(&path) else { return false };
        let same_size = file.metadata().is_ok_and(|meta| meta.len() == size);
        same_size && file.set_modified(SystemTime::now()).is_ok()
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
            file.write_all(bytes).map_err(failed("write", &path))?;
            written.push((path, file, *digest));
        }
        self.publish(written)?;
        Ok(digests)
    }

    /// Syncs written files, gives them their names, syncs the names.
    fn publish(&self, written: Vec<(PathBuf, File, Digest)>) -> Result<(), BlobError> {
        match written.as_slice() {
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
        for (path, _, digest) in &written {
            folders.insert(self.adopt(path, digest)?);
        }
        for folder in folders {
            durable::sync_folder(&folder).map_err(failed("sync", &folder))?;
        }
        Ok(())
    }

    /// Ends a [`crate::BlobWriter`].
    pub(crate) fn finish_partial(&self, path: PathBuf, file: File, size: u64, digest: Digest) -> Result<(), BlobError> {
        let _storing = self.removal.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.refresh(&digest, size) {
            let _ = fs::remove_file(&path);
            return Ok(());
        }
        self.publish(vec![(path, file, digest)])
    }

    pub(crate) fn open_file(&self, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        let path = self.path_of(digest);
        match File::open(&path) {
            Ok(file) => {
                let size = file.metadata().map_err(failed("read", &path))?.len();
                Ok(Some(Stored { file, size }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("open", &path)(error)),
        }
    }

    pub(crate) fn get(&self, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, BlobError> {
        let Some(stored) = self.open_file(digest)? else { return Ok(None) };
        if stored.size > bytes_max {
            return Err(BlobError::TooLarge { digest: *digest, size: stored.size, bytes_max });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(stored.size).unwrap_or(0));
        stored.file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed("read", &self.path_of(digest)))?;
        if Digest::of(&bytes) != *digest {
            return Err(BlobError::Corrupt(*digest));
        }
        Ok(Some(bytes))
    }

    pub(crate) fn contains(&self, digest: &Digest) -> Result<bool, BlobError> {
        let path = self.path_of(digest);
        path.try_exists().map_err(failed("look at", &path))
    }

    pub(crate) fn link_into(&self, digest: &Digest, to: &Path) -> Result<(), BlobError> {
        if fs::hard_link(self.path_of(digest), to).is_ok() {
            return Ok(());
        }
        self.copy_into(digest, to, 0o444)
    }

    pub(crate) fn copy_into(&self, digest: &Digest, to: &Path, mode: u32) -> Result<(), BlobError> {
        let from = self.path_of(digest);
        let mut source = File::open(&from).map_err(failed("open", &from))?;
        let target = OpenOptions::new().write(true).create_new(true).mode(mode).open(to);
        let mut target = target.map_err(failed("create", to))?;
        io::copy(&mut source, &mut target).map_err(failed("write", to))?;
        Ok(())
    }

    pub(crate) fn put_object(&self, key: &ObjectKey, bytes: &[u8]) -> Result<(), BlobError> {
        let target = self.object_path(key);
        let folder = target.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        let (path, mut file) = self.create_partial()?;
        file.write_all(bytes).map_err(failed("write", &path))?;
        durable::sync_file(&file).map_err(failed("sync", &path))?;
        durable::rename(&path, &target).map_err(failed("rename to", &target))?;
        durable::sync_folder(&folder).map_err(failed("sync", &folder))
    }

    pub(crate) fn name_object(&self, key: &ObjectKey, digest: &Digest) -> Result<(), BlobError> {
        let target = self.object_path(key);
        let folder = target.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        // Linked beside it and renamed, so that an object of that name is replaced in one step.
        let number = self.next_partial.fetch_add(1, Ordering::Relaxed);
        let partial = self.root.join("partial").join(format!("{}-{number}", std::process::id()));
        self.link_into(digest, &partial)?;
        durable::rename(&partial, &target).map_err(failed("rename to", &target))?;
        // Where the object was this very file, renaming did nothing.
        let _ = fs::remove_file(&partial);
        durable::sync_folder(&folder).map_err(failed("sync", &folder))
    }

    pub(crate) fn get_object(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, BlobError> {
        let path = self.object_path(key);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    pub(crate) fn delete_object(&self, key: &ObjectKey) -> Result<(), BlobError> {
        let path = self.object_path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => {
                // The deployment's folder, where this was the last object in it.
                let _ = path.parent().map(fs::remove_dir);
                Ok(())
            }
        }
    }

    pub(crate) fn list(&self) -> Result<Vec<(Digest, u64)>, BlobError> {
        let mut blobs = Vec::new();
        let root = self.root.join("sha256");
        for shard in fs::read_dir(&root).map_err(failed("list", &root))?.flatten() {
            let shard = shard.path();
            for entry in fs::read_dir(&shard).map_err(failed("list", &shard))?.flatten() {
                let digest = entry.file_name().to_str().and_then(|name| name.parse().ok());
                if let (Some(digest), Ok(meta)) = (digest, entry.metadata()) {
                    blobs.push((digest, meta.len()));
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

/// Hashes while writing; the state of a [`crate::BlobWriter`].
pub(crate) struct Partial {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) hasher: Hasher,
    pub(crate) size: u64,
}

impl Partial {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.file.write_all(bytes).map_err(failed("write", &self.path))?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }
}
