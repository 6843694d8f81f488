//! What takes room on a disk: files, folders, links, and bytes in files. None of it is durable by itself; each is a point
//! at which a disk may be full or fail, and is numbered, so that a test can name it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::fault::write;

/// Opens a file that may be made by that.
pub fn create(options: &OpenOptions, path: &Path) -> io::Result<File> {
    write("create", || options.open(path))
}

/// Makes one folder.
pub fn create_folder(path: &Path) -> io::Result<()> {
    write("create folder", || fs::create_dir(path))
}

/// Makes a folder and those above it, where they are not there.
pub fn create_folders(path: &Path) -> io::Result<()> {
    // What is there takes no room, on a full disk either.
    if path.is_dir() { Ok(()) } else { write("create folders", || fs::create_dir_all(path)) }
}

/// Writes all of some bytes.
pub fn write_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    write("write", || file.write_all(bytes))
}

/// Writes all that can be read; returns how many bytes that was.
pub fn copy(from: &mut impl Read, to: &mut File) -> io::Result<u64> {
    write("write", || io::copy(from, to))
}

/// Gives a file one more name.
pub fn hard_link(file: &Path, name: &Path) -> io::Result<()> {
    write("link", || fs::hard_link(file, name))
}

/// Makes a symbolic link.
pub fn symlink(target: &str, name: &Path) -> io::Result<()> {
    write("symbolic link", || std::os::unix::fs::symlink(target, name))
}

/// Gives a file or folder another name, where losing that with the power is no harm.
pub fn rename_losable(from: &Path, to: &Path) -> io::Result<()> {
    write("rename", || fs::rename(from, to))
}
