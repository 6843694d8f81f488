//! Which blobs of the folder cannot be had: somebody who read them found them missing or damaged.
//!
//! The file stays where it is, so that every reader is told what is wrong and whoever has a backup can put it back. The note
//! only makes uploads ask for the bytes again. It goes when they are stored or read whole. A note that is lost with the
//! power is made again by the next reader, one too many costs one upload.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use skylift_durable as durable;
use skylift_durable::{Defence, left_out};
use skylift_model::Digest;

use super::{Directory, Durability};
use crate::error::{BlobError, failed};

/// The notes: in memory, and as empty files, for the next start.
pub(crate) struct Lost {
    folder: PathBuf,
    noted: Mutex<BTreeSet<Digest>>,
}

impl Lost {
    /// Reads what was noted before.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, BlobError> {
        let noted = match fs::read_dir(&folder) {
            Ok(entries) => entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(failed("list", &folder)(error)),
        };
        Ok(Self { folder, noted: Mutex::new(noted) })
    }

    fn note(&self, digest: &Digest) {
        if !self.noted().insert(*digest) {
            return;
        }
        tracing::error!(blob = %digest, "a stored file is damaged or missing; deploying the folder it came from again repairs it");
        let make = |path: &Path| durable::create(OpenOptions::new().write(true).create(true).truncate(true), path);
        let write = |path: &Path| durable::create_folders(&self.folder).and_then(|()| make(path)).map(drop);
        if let Err(error) = write(&self.path_of(digest)) {
            tracing::warn!(blob = %digest, error = %error, "it cannot be noted on disk that a stored file is lost");
        }
    }

    fn forget(&self, digest: &Digest) {
        // Nearly always there is nothing to forget.
        if self.noted().remove(digest) {
            let _ = fs::remove_file(self.path_of(digest));
        }
    }

    fn path_of(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    fn noted(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directory {
    /// Notes that a blob cannot be had. Of what can be had from elsewhere nothing is lost.
    pub(super) fn is_lost(&self, digest: &Digest) {
        if self.durability == Durability::Synced && !left_out(Defence::Repair) {
            self.lost.note(digest);
        }
    }

    /// Notes that a blob was stored or read whole.
    pub(super) fn is_whole(&self, digest: &Digest) {
        self.lost.forget(digest);
    }

    /// All that were found missing or damaged and are not whole again.
    pub(crate) fn lost(&self) -> Vec<Digest> {
        self.lost.noted().iter().copied().collect()
    }

    /// Those of some blobs, given with their sizes, that cannot be had. Their bytes are not read.
    pub(crate) fn lost_of(&self, wanted: &[(Digest, u64)]) -> Vec<Digest> {
        if left_out(Defence::Repair) {
            return Vec::new();
        }
        let is_lost = |(digest, size): &&(Digest, u64)| {
            self.lost.noted().contains(digest)
                || match fs::metadata(self.path_of(digest)) {
                    Ok(meta) => meta.len() != *size,
                    Err(error) => error.kind() == io::ErrorKind::NotFound,
                }
        };
        wanted.iter().filter(is_lost).map(|(digest, _)| *digest).collect()
    }

    /// Forgets notes of blobs that nobody needs.
    pub(crate) fn forget_lost(&self, digests: &[Digest]) {
        digests.iter().for_each(|digest| self.lost.forget(digest));
    }
}
