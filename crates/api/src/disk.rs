//! The data folder's disk: what is left, and whether new work may use it.

use std::path::Path;

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

/// Refuses new bytes when they would eat the reserve that deleting and rolling back need.
pub(crate) fn admit(services: &Services) -> Result<(), ApiError> {
    if free_bytes(&services.data_dir) < services.limits.disk_reserve_bytes {
        return Err(ApiError::out_of_space());
    }
    Ok(())
}
