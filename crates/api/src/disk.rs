//! The data folder's disk: what is left, and whether new work may use it.

use std::path::{Path, PathBuf};

use skylift_durable::Disk;
use skylift_model::wire::Code;

use crate::error::ApiError;
use crate::services::Services;

/// How many files must be left to be made: so few that bytes without a file are no room.
const FILES_RESERVE: u64 = 128;

/// What the file system has left for us, in bytes; none where no more files can be made.
pub(crate) fn free_bytes(folder: &Path) -> u64 {
    let Ok(disk) = rustix::fs::statvfs(folder) else { return 0 };
    // File systems that make inodes as they need them count none at all.
    if disk.f_files > 0 && disk.f_favail < FILES_RESERVE {
        return 0;
    }
    disk.f_bavail.saturating_mul(disk.f_frsize)
}

/// How the disk is by what was done on it last. Where that was not well it is tried once more, so that a platform with
/// nothing to do is told well again.
pub(crate) async fn health(folder: PathBuf) -> Disk {
    if skylift_durable::disk() != Disk::Well {
        let tried = tokio::task::spawn_blocking(move || skylift_durable::try_disk(&folder)).await;
        if let Err(error) = tried {
            tracing::warn!(error = &error as &dyn std::error::Error, "the disk could not be tried");
        }
    }
    skylift_durable::disk()
}

/// What is wrong with the disk, and what to do about it.
pub(crate) fn problem(disk: &Disk) -> Option<String> {
    match disk {
        Disk::Well => None,
        Disk::Failing { step, error } => Some(format!(
            "the disk of the data folder fails ({step}: {error}): nothing new is accepted, sites are served; free space or \
             replace the disk (the kernel's log, `dmesg`, has more); it goes on by itself when the disk is well"
        )),
        Disk::Slow { at_least } => Some(format!(
            "the disk of the data folder is slow (each of the last syncs took {} ms or longer): deploys are late, sites are \
             served; see what else writes to it (`iostat -x`), or move the data folder",
            at_least.as_millis()
        )),
    }
}

/// Refuses new bytes when they would eat the reserve that deleting and rolling back need.
pub(crate) fn admit(services: &Services) -> Result<(), ApiError> {
    if has_room(&services.data_dir, services.limits.disk_reserve_bytes) {
        Ok(())
    } else {
        Err(ApiError::out_of_space())
    }
}

/// The same of a run of which something is to be kept: its row, what came of it, or its answer for who asks again.
pub(crate) fn admit_kept(services: &Services) -> Result<(), ApiError> {
    admit(services).map_err(|_| {
        ApiError::new(
            Code::OutOfSpace,
            "the platform's disk is full: no run is accepted of which something is to be kept",
            "send it with `\"mode\": \"sync\"`, and with neither `ttl_s` nor an Idempotency-Key: of such a run nothing is kept; or have \
             space freed on the server",
        )
    })
}

/// Whether the disk of a folder has what must be left free, in bytes, and files can be made on it.
pub fn has_room(folder: &Path, reserve_bytes: u64) -> bool {
    free_bytes(folder) >= reserve_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_as_long_as_the_reserve_is_left() {
        let folder = tempfile::tempdir().unwrap();
        assert!(has_room(folder.path(), 1), "control");
        assert!(!has_room(folder.path(), u64::MAX));
        assert!(!has_room(&folder.path().join("gone"), 1), "what cannot be looked at has none");
    }
}
