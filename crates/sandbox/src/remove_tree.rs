//! Removing what a guest made, however it is made.
//!
//! A guest can nest folders deeper than any stack and any path. So nothing here recurses, no path is followed, and two
//! descriptors are open at a time: each folder found inside another is first moved up into the root, then emptied
//! there.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Removes a folder with all that is in it; nothing happens where there is none. Links are removed, never followed.
/// Nobody else may be writing in it.
///
/// # Errors
/// When something in it cannot be removed; what could be is gone then.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(root) => root,
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(rustix::fs::unlink(path)?),
        Err(error) => return Err(error.into()),
    };
    let mut hoisted = 0;
    while empty_folders_of(root.as_fd(), &mut hoisted)? {}
    Ok(rustix::fs::rmdir(path)?)
}

/// Removes the files of the root and every folder that lies directly in it, moving what lies deeper up. Returns whether
/// anything was moved, so that there is more to do.
fn empty_folders_of(root: BorrowedFd<'_>, hoisted: &mut u64) -> io::Result<bool> {
    let before = *hoisted;
    for name in entries(root)? {
        if unlink_file(root, &name)? {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // A folder may deny its own owner; without root that would be in the way.
        let _ = rustix::fs::chmodat(root, &name, Mode::RWXU, AtFlags::empty());
        let folder = rustix::fs::openat(root, &name, flags, Mode::empty())?;
        for below in entries(folder.as_fd())? {
            if !unlink_file(folder.as_fd(), &below)? {
                hoist(folder.as_fd(), &below, root, hoisted)?;
            }
        }
        rustix::fs::unlinkat(root, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(*hoisted != before)
}

/// Moves a folder up into the root, under a name that is free there.
fn hoist(from: BorrowedFd<'_>, name: &std::ffi::CStr, root: BorrowedFd<'_>, hoisted: &mut u64) -> io::Result<()> {
    let _ = rustix::fs::chmodat(from, name, Mode::RWXU, AtFlags::empty());
    loop {
        *hoisted += 1;
        match rustix::fs::renameat(from, name, root, format!(".removed-{hoisted}")) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes what is no folder; returns whether it was none.
fn unlink_file(folder: BorrowedFd<'_>, name: &std::ffi::CStr) -> io::Result<bool> {
    let kind = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(kind.st_mode) == FileType::Directory {
        return Ok(false);
    }
    rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
    Ok(true)
}

fn entries(folder: BorrowedFd<'_>) -> io::Result<Vec<std::ffi::CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_deeper_than_any_path_and_stack_is_removed() {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let mut folder = rustix::fs::openat(CWD, &root, OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..30_000 {
            rustix::fs::mkdirat(&folder, "d", Mode::RWXU).unwrap();
            folder = rustix::fs::openat(&folder, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        drop(folder);
        remove_tree(&root).unwrap();
        assert!(!root.exists());
    }

    #[test]
    fn links_go_and_what_they_lead_to_stays() {
        let top = tempfile::tempdir().unwrap();
        let (root, outside) = (top.path().join("root"), top.path().join("outside"));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, root.join("a/link")).unwrap();
        std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
        std::fs::write(root.join("a/b/file"), "x").unwrap();
        std::fs::write(root.join(".removed-1"), "taken").unwrap();
        remove_tree(&root).unwrap();
        assert!(!root.exists() && outside.join("kept").exists());
        remove_tree(&root).unwrap();
        std::os::unix::fs::symlink(&outside, &root).unwrap();
        remove_tree(&root).unwrap();
        assert!(!root.exists() && outside.join("kept").exists(), "the root itself may be a link");
    }
}
