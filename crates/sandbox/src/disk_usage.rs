//! How much a folder holds, seen without following a link out of it.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// Bytes on disk (blocks, so that sparse files count as what they take) and entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUsage {
    pub bytes: u64,
    pub inodes: u64,
}

impl DiskUsage {
    /// More than any folder has.
    pub const MAX: Self = Self { bytes: u64::MAX, inodes: u64::MAX };

    /// Whether one of both is more than in `most`.
    pub fn is_beyond(&self, most: &Self) -> bool {
        self.bytes > most.bytes || self.inodes > most.inodes
    }
}

/// What is below `path`, as [`disk_usage_up_to`] sees it, however much that is.
///
/// # Errors
/// As there.
pub fn disk_usage(path: &Path) -> io::Result<DiskUsage> {
    disk_usage_up_to(path, &DiskUsage::MAX)
}

/// What is below `path`, or so much of it that it is beyond `most`: then nobody has to look at the rest. Entries that vanish
/// meanwhile and folders that we may not read are left out; links are counted, never followed; other file systems mounted
/// below are not entered.
///
/// The way leads from folder to folder, down by one name and up by `..`, with a few descriptors open: neither a wide nor a deep tree
/// can use them up, nor is any too deep to be named.
///
/// # Errors
/// When `path` cannot be read, or anything below for another reason than the above.
pub fn disk_usage_up_to(path: &Path, most: &DiskUsage) -> io::Result<DiskUsage> {
    let root = rustix::fs::openat(CWD, path, FOLDER, Mode::empty())?;
    let at_root = rustix::fs::fstat(&root)?;
    let mut walk = Walk { usage: DiskUsage::default(), most: *most, device: at_root.st_dev };
    let mut way = vec![Folder { name: c".".to_owned(), inode: at_root.st_ino, pending: walk.look(&root)? }];
    let mut here = root.try_clone()?;
    while let Some(folder) = way.last_mut() {
        if walk.usage.is_beyond(most) {
            break;
        }
        if let Some(name) = folder.pending.pop() {
            let Some((below, stat)) = walk.enter(&here, &name)? else { continue };
            let pending = walk.look(&below)?;
            // Nothing leads further from most folders.
            if !pending.is_empty() {
                way.push(Folder { name, inode: stat.st_ino, pending });
                here = below;
            }
            continue;
        }
        way.pop();
        match walk.back(&root, &here, &way)? {
            Some(above) => here = above,
            None => way.iter_mut().rev().take(1).for_each(|lost| lost.pending.clear()),
        }
    }
    Ok(walk.usage)
}

/// A folder on the way from the root to where the walk is.
struct Folder {
    name: CString,
    inode: u64,
    /// The folders in it where nobody was yet.
    pending: Vec<CString>,
}

struct Walk {
    usage: DiskUsage,
    most: DiskUsage,
    device: u64,
}

impl Walk {
    /// Counts what lies in a folder, until it is too much. Returns the names of the folders in it.
    fn look(&mut self, folder: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
        let mut below = Vec::new();
        let Some(entries) = there(Dir::read_from(folder))? else { return Ok(below) };
        for entry in entries {
            let Some(entry) = there(entry)? else { break };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Some(stat) = there(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW))? else { continue };
            self.usage.inodes += 1;
            self.usage.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
            if self.usage.is_beyond(&self.most) {
                break;
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory && stat.st_dev == self.device {
                below.push(name.to_owned());
            }
        }
        Ok(below)
    }

    /// `None` where there is no such folder any more.
    fn enter(&self, folder: impl AsFd, name: &CStr) -> rustix::io::Result<Option<(OwnedFd, Stat)>> {
        let Some(opened) = there(rustix::fs::openat(folder, name, FOLDER, Mode::empty()))? else { return Ok(None) };
        let stat = rustix::fs::fstat(&opened)?;
        Ok((stat.st_dev == self.device).then_some((opened, stat)))
    }

    /// The last folder of `way` again, from one that was below it: by its name where that was moved away meanwhile.
    fn back(&self, root: &OwnedFd, here: &OwnedFd, way: &[Folder]) -> rustix::io::Result<Option<OwnedFd>> {
        let Some(wanted) = way.last() else { return Ok(None) };
        if let Some((above, stat)) = self.enter(here, c"..")?
            && stat.st_ino == wanted.inode
        {
            return Ok(Some(above));
        }
        let Some(mut at) = self.enter(root, c".")? else { return Ok(None) };
        for Folder { name, .. } in way.iter().skip(1) {
            let Some(below) = self.enter(&at.0, name)? else { return Ok(None) };
            at = below;
        }
        Ok((at.1.st_ino == wanted.inode).then_some(at.0))
    }
}

/// `None` of what has vanished, is something else by now, or is not ours to read.
fn there<T>(result: rustix::io::Result<T>) -> rustix::io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => Ok(None),
        Err(error) => Err(error),
    }
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

    /// Makes folders in each other and, on the way, one beside each; the last one holds the file.
    fn nest(root: &Path, depth: u64, name: &str) -> OwnedFd {
        let mut at = rustix::fs::openat(CWD, root, FOLDER, Mode::empty()).unwrap();
        for _ in 0..depth {
            for made in [name, "beside", "beside/in"] {
                rustix::fs::mkdirat(&at, made, Mode::RWXU).unwrap();
            }
            at = rustix::fs::openat(&at, name, FOLDER, Mode::empty()).unwrap();
        }
        let create = OFlags::WRONLY | OFlags::CREATE;
        let file = rustix::fs::openat(&at, "deep", create, Mode::RUSR | Mode::WUSR).unwrap();
        io::Write::write_all(&mut std::fs::File::from(file), &vec![1; 1 << 20]).unwrap();
        at
    }

    #[test]
    fn what_lies_deeper_than_any_path_can_say_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let name = "n".repeat(250);
        nest(folder.path(), 40, &name);
        // The control: by its path nobody gets there.
        let path = folder.path().join(vec![name; 40].join("/"));
        assert_eq!(Errno::from_io_error(&std::fs::metadata(path).unwrap_err()), Some(Errno::NAMETOOLONG));

        let usage = disk_usage(folder.path()).unwrap();
        assert_eq!(usage.inodes, 40 * 3 + 1);
        assert!(usage.bytes >= 1 << 20, "{usage:?}");
        crate::remove_tree(folder.path()).unwrap();
    }

    #[test]
    fn a_tree_that_is_moved_about_meanwhile_leads_nowhere_else() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        nest(folder.path(), 2, "in");
        let open = |path: &Path| rustix::fs::openat(CWD, path, FOLDER, Mode::empty()).unwrap();
        let root = open(folder.path());
        let stat = |path: &str| rustix::fs::stat(folder.path().join(path)).unwrap();
        let walk = Walk { usage: DiskUsage::default(), most: DiskUsage::MAX, device: stat("").st_dev };
        let on_way = |name: &str, path| Folder {
            name: CString::new(name).unwrap(),
            inode: stat(path).st_ino,
            pending: Vec::new(),
        };
        let way = [on_way(".", ""), on_way("in", "in")];
        let here = open(&folder.path().join("in/in"));
        let is_back = || {
            let found = walk.back(&root, &here, &way).unwrap();
            found.map(|found| rustix::fs::fstat(found).unwrap().st_ino == way[1].inode)
        };
        assert_eq!(is_back(), Some(true));
        std::fs::rename(folder.path().join("in/in"), outside.path().join("away")).unwrap();
        assert_eq!(is_back(), Some(true), "by its name, not by the way up");
        std::fs::rename(folder.path().join("in"), outside.path().join("in")).unwrap();
        assert_eq!(is_back(), None);
    }

    #[test]
    fn nobody_looks_at_more_than_is_needed_to_know_that_it_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        for name in 0..100 {
            std::fs::write(folder.path().join(name.to_string()), [1; 10]).unwrap();
        }
        let up_to = |bytes, inodes| disk_usage_up_to(folder.path(), &DiskUsage { bytes, inodes }).unwrap();
        assert_eq!(up_to(u64::MAX, 10).inodes, 11);
        assert_eq!(up_to(10, u64::MAX).inodes, 1);
        assert_eq!(up_to(u64::MAX, 100), disk_usage(folder.path()).unwrap());
    }

    #[test]
    fn what_cannot_be_read_at_all_is_not_taken_for_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(disk_usage(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(disk_usage(folder.path()).unwrap(), DiskUsage::default());
    }
}
