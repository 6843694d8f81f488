//! The volumes of this node: folders that outlive instances, and who has each at the moment.
//!
//! ```text
//! volumes/{id}        what its app writes, as the app's own user
//! volumes/{id}.lock   locked by the sandboxes that have it: alone where it bears one writer, together where it bears many
//! volumes/{id}.contained   there where a container may have it: of which engine
//! ```
//!
//! The lock is held through an open file that a sandbox's own first processes keep, never its payload. So it is free only once nothing
//! of that sandbox lives any more, also where the platform was killed and another process of it asks.
//!
//! A container's processes are the engine's, and keep nothing of ours open: there the platform itself holds the lock. What a killed
//! platform let go of that way is told by the note, which is made before the container and removed after it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, lchown};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use skylift_durable::{Defence, left_out};
use skylift_model::volume::Writers;
use skylift_store::VolumeRow;

/// User ids of apps that have volumes, by the number of the app. No build and no other instance has one of them.
const UID_BASE: u32 = 3_000_000;
const UIDS: u64 = 1_000_000_000;

/// The folder that the volumes of a node are in.
#[derive(Clone, Debug)]
pub(crate) struct Volumes(PathBuf);

/// Why there is no volume.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    #[error("lock {path}")]
    Lock {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("note in {path} who has the volume")]
    Note {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("make the volume's folder {path}")]
    Make {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("remove the volume's folder {path}")]
    Remove {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The user that an app's volumes belong to.
pub(crate) fn uid(slot: u64) -> u32 {
    UID_BASE + u32::try_from(slot % UIDS).unwrap_or_default()
}

impl Volumes {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder of a volume.
    pub(crate) fn path(&self, volume: &VolumeRow) -> PathBuf {
        self.0.join(volume.id.as_str())
    }

    /// Takes a volume for whoever keeps what is returned open; `None` where somebody has it whom it does not bear beside.
    pub(crate) fn try_take(&self, volume: &VolumeRow) -> Result<Option<OwnedFd>, VolumeError> {
        let operation = match volume.writers {
            Writers::One => FlockOperation::NonBlockingLockExclusive,
            Writers::Many => FlockOperation::NonBlockingLockShared,
        };
        self.lock(volume, operation)
    }

    /// Makes a volume's folder where there is none, as its app's own.
    pub(crate) fn make(&self, volume: &VolumeRow) -> Result<PathBuf, VolumeError> {
        let path = self.path(volume);
        let failed = |source| VolumeError::Make { path: path.clone(), source };
        match DirBuilder::new().mode(0o700).create(&path) {
            // Its name is to be there after a power cut, whatever its app has synced within.
            Ok(()) => skylift_durable::sync_folder(&self.0).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        let owner = uid(volume.slot);
        if rustix::process::geteuid().is_root() && path.symlink_metadata().map_err(failed)?.uid() != owner {
            lchown(&path, Some(owner), Some(owner)).map_err(failed)?;
        }
        Ok(path)
    }

    /// Notes that a container of this engine is to have a volume. By whoever has taken it.
    pub(crate) fn note_contained(&self, volume: &VolumeRow, engine: &str) -> Result<(), VolumeError> {
        let path = self.note(volume);
        if left_out(Defence::Contained) {
            return Ok(());
        }
        fs::write(&path, engine).map_err(|source| VolumeError::Note { path, source })
    }

    /// The engine of which a container may have a volume whose lock is free: noted by a platform that did not live to see its end.
    pub(crate) fn contained(&self, volume: &VolumeRow) -> Result<Option<String>, VolumeError> {
        let path = self.note(volume);
        match fs::read_to_string(&path) {
            Ok(engine) => Ok(Some(engine)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(VolumeError::Note { path, source }),
        }
    }

    /// No container has it any more. By whoever has taken it.
    pub(crate) fn forget_contained(&self, volume: &VolumeRow) -> Result<(), VolumeError> {
        let path = self.note(volume);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(VolumeError::Note { path, source }),
            _ => Ok(()),
        }
    }

    /// Takes a volume that is to be removed; `None` where somebody still has it.
    pub(crate) fn take_last(&self, volume: &VolumeRow) -> Result<Option<OwnedFd>, VolumeError> {
        self.lock(volume, FlockOperation::NonBlockingLockExclusive)
    }

    /// Removes a volume's folder, by whoever has taken it as the last.
    pub(crate) fn remove(&self, volume: &VolumeRow, _lock: OwnedFd) -> Result<(), VolumeError> {
        let path = self.path(volume);
        let failed = |source| VolumeError::Remove { path: path.clone(), source };
        skylift_sandbox::remove_tree(&path).map_err(failed)?;
        fs::remove_file(self.lock_file(volume)).map_err(failed)
    }

    /// Where it is noted that a container may have a volume.
    pub(crate) fn note(&self, volume: &VolumeRow) -> PathBuf {
        self.0.join(format!("{}.contained", volume.id))
    }

    fn lock_file(&self, volume: &VolumeRow) -> PathBuf {
        self.0.join(format!("{}.lock", volume.id))
    }

    fn lock(&self, volume: &VolumeRow, operation: FlockOperation) -> Result<Option<OwnedFd>, VolumeError> {
        let path = self.lock_file(volume);
        match try_lock(&path, operation) {
            Ok(file) => Ok(Some(file.into())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(source) => Err(VolumeError::Lock { path, source }),
        }
    }
}

fn try_lock(path: &Path, operation: FlockOperation) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    rustix::fs::flock(&file, operation)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use skylift_model::{Timestamp, VolumeId};
    use skylift_store::VolumeKind;

    use super::*;

    fn volume(writers: Writers) -> VolumeRow {
        let now = Timestamp::from_millis(1);
        VolumeRow {
            id: VolumeId::new(now, 1),
            app: "shop".parse().unwrap(),
            slot: 7,
            name: "main".parse().unwrap(),
            kind: VolumeKind::Plain,
            path: Default::default(),
            writers,
            node: None,
            created_at: now,
            removed_at: None,
        }
    }

    #[test]
    fn one_writer_has_it_alone_and_many_have_it_together() {
        for (writers, second) in [(Writers::One, false), (Writers::Many, true)] {
            let folder = tempfile::tempdir().unwrap();
            let (volumes, volume) = (Volumes::new(folder.path().to_owned()), volume(writers));
            let first = volumes.try_take(&volume).unwrap().unwrap();
            assert_eq!(volumes.try_take(&volume).unwrap().is_some(), second, "{writers:?}");
            let copy = first.try_clone().unwrap();
            drop(first);
            assert_eq!(
                volumes.try_take(&volume).unwrap().is_some(),
                second,
                "whoever keeps a copy has it: {writers:?}"
            );
            drop(copy);
            assert!(volumes.try_take(&volume).unwrap().is_some());
        }
    }

    #[test]
    fn what_somebody_has_is_not_removed_and_then_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (volumes, volume) = (Volumes::new(folder.path().to_owned()), volume(Writers::Many));
        let path = volumes.make(&volume).unwrap();
        fs::write(path.join("kept"), "kept").unwrap();
        assert_eq!(volumes.make(&volume).unwrap(), path, "made once");
        let held = volumes.try_take(&volume).unwrap();
        assert!(volumes.take_last(&volume).unwrap().is_none());
        assert_eq!(fs::read_to_string(path.join("kept")).unwrap(), "kept");
        drop(held);
        for time in ["once", "also a second time"] {
            let last = volumes.take_last(&volume).unwrap().expect(time);
            volumes.remove(&volume, last).expect(time);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
