//! The steps that make bytes survive a power cut. Every fsync and rename of the blob store goes through here.

use std::fs::File;
use std::io;
use std::path::Path;

/// Waits until a file's bytes are on disk.
pub fn sync_file(file: &File) -> io::Result<()> {
    file.sync_data()
}

/// Waits until everything written to the file system that holds `file` is on disk; dearer than one
/// [`sync_file`], cheaper than many.
pub fn sync_file_system(file: &File) -> io::Result<()> {
    rustix::fs::syncfs(file).map_err(io::Error::from)
}

/// Gives a synced file its final name. The name itself is durable after [`sync_folder`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

/// Waits until the names in a folder are on disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
