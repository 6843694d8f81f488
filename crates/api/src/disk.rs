//! The data folder's disk: what is left, and whether new work may use it.

use std::path::Path;

use crate::error::ApiError;
use crate::services::Services;

/// What the file system has left for us, in bytes.
pub(crate) fn free_bytes(folder: &Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Refuses new bytes when they would eat the reserve that deleting and rolling back need.
pub(crate) fn admit(services: &Services) -> Result<(), ApiError> {
    if free_bytes(&services.data_dir) < services.limits.disk_reserve_bytes {
        return Err(ApiError::out_of_space());
    }
    Ok(())
}
