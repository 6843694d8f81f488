//! How much a folder holds, seen without following a link out of it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};

/// Bytes on disk (blocks, so that sparse files count as what they take) and entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUsage {
    pub bytes: u64,
    pub inodes: u64,
}

/// What is below `path`. Entries that vanish meanwhile are left out; links are counted, never followed; other file
/// systems mounted below are not entered.
///
/// One folder is open at a time, so that neither a wide nor a deep tree can use up our descriptors.
///
/// # Errors
/// When `path` itself cannot be read, or something below lies too deep to be named.
pub fn disk_usage(path: &Path) -> io::Result<DiskUsage> {
    let root = open_folder(path)?;
    let device = rustix::fs::fstat(&root)?.st_dev;
    let mut usage = DiskUsage::default();
    let mut pending = vec![PathBuf::from(".")];
    while let Some(folder) = pending.pop() {
        let opened = match open_below(&root, &folder) {
            Ok(opened) => opened,
            Err(rustix::io::Errno::NAMETOOLONG) => return Err(rustix::io::Errno::NAMETOOLONG.into()),
            Err(_) => continue,
        };
        let Ok(entries) = Dir::read_from(&opened) else { continue };
        for entry in entries {
            let Ok(entry) = entry else { break };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            usage.inodes += 1;
            usage.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory && stat.st_dev == device {
                pending.push(folder.join(OsStr::from_bytes(name.to_bytes())));
            }
        }
    }
    Ok(usage)
}

fn open_folder(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, path, FOLDER, Mode::empty())
}

fn open_below(root: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, FOLDER, Mode::empty(), resolve)
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_out_of_the_folder_is_counted_but_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("large"), vec![1; 1 << 20]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("in/small"), vec![1; 5000]).unwrap();

        let usage = disk_usage(folder.path()).unwrap();
        assert_eq!(usage.inodes, 3);
        assert!((5000..100_000).contains(&usage.bytes), "{usage:?}");
        assert!(disk_usage(outside.path()).unwrap().bytes >= 1 << 20, "the same bytes count where they are");
    }
}
