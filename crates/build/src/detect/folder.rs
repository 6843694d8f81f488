//! A folder on disk as a listing. Never follows a symbolic link, never opens anything but regular files.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat2};
use skylift_model::FilePath;

use super::listing::{Listing, READ_BYTES_MAX};

/// The most entries of a folder that are looked at.
pub const ENTRIES_MAX: usize = 500_000;

/// Folders that are never part of a source.
const SKIPPED: &[&str] = &["node_modules", ".git"];

/// The files below a folder. Names that are no legal paths, and everything but regular files, are left out.
#[derive(Debug)]
pub struct FolderListing {
    folder: OwnedFd,
    paths: Vec<FilePath>,
}

/// Why a folder cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("open the folder {path}")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("list the folder {path}")]
    List {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the folder {path} has more than {ENTRIES_MAX} entries")]
    TooMany { path: PathBuf },
}

impl FolderListing {
    /// Lists the folder at `path`, which itself may be a symbolic link.
    ///
    /// # Errors
    /// Where it or a folder in it cannot be read, or it has too many entries.
    pub fn open(path: &Path) -> Result<Self, ListError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| ListError::Open { path: path.to_owned(), source: errno.into() })?;
        Ok(Self { folder, paths: list(path)? })
    }

    fn open_file(&self, path: &str) -> Option<File> {
        // NONBLOCK: opening a pipe that replaced a file must not wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(&self.folder, path, flags, Mode::empty(), resolve).ok()?;
        let mode = fstat(&file).ok()?.st_mode;
        rustix::fs::FileType::from_raw_mode(mode).is_file().then(|| File::from(file))
    }
}

impl Listing for FolderListing {
    fn paths(&self) -> &[FilePath] {
        &self.paths
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let limit = READ_BYTES_MAX as u64 + 1;
        self.open_file(path)?.take(limit).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

fn list(top: &Path) -> Result<Vec<FilePath>, ListError> {
    let mut paths = Vec::new();
    let mut entries_seen = 0;
    let mut waiting = vec![String::new()];
    while let Some(folder) = waiting.pop() {
        let path = top.join(&folder);
        let failed = |source| ListError::List { path: path.clone(), source };
        for entry in std::fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            entries_seen += 1;
            if entries_seen > ENTRIES_MAX {
                return Err(ListError::TooMany { path: top.to_owned() });
            }
            let Some(child) = child_path(&folder, &entry) else { continue };
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() && !SKIPPED.contains(&child.file_name()) {
                waiting.push(child.as_str().to_owned());
            } else if kind.is_file() {
                paths.push(child);
            }
        }
    }
    paths.sort();
    Ok(paths)
}

fn child_path(folder: &str, entry: &std::fs::DirEntry) -> Option<FilePath> {
    let name = entry.file_name();
    let name = name.to_str()?;
    if folder.is_empty() { name.parse().ok() } else { format!("{folder}/{name}").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(listing: &FolderListing) -> Vec<&str> {
        listing.paths().iter().map(FilePath::as_str).collect()
    }

    #[test]
    fn regular_files_are_listed_sorted_without_packages_and_git() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a/b.txt", "a.txt", "node_modules/x/index.js", ".git/config", "src/node_modules/y", ".nvmrc"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let listing = FolderListing::open(folder.path()).unwrap();
        assert_eq!(names(&listing), [".nvmrc", "a.txt", "a/b.txt"]);
        assert_eq!(listing.read("a/b.txt").unwrap(), b"x");
        assert_eq!(listing.read("a"), None);
        assert_eq!(listing.read("missing"), None);
    }

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("package.json");
        std::fs::write(&secret, "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        symlink(&secret, folder.path().join("package.json")).unwrap();
        symlink(outside.path(), folder.path().join("sub")).unwrap();
        let listing = FolderListing::open(folder.path()).unwrap();

        assert_eq!(names(&listing), [""; 0]);
        assert_eq!(listing.read("package.json"), None);
        assert_eq!(listing.read("sub/package.json"), None);
        let up = format!("../{}/package.json", outside.path().file_name().unwrap().to_str().unwrap());
        assert_eq!(listing.read(&up), None);
        assert_eq!(listing.read(secret.to_str().unwrap()), None);
        // The control: an ordinary read follows all of them.
        for path in ["package.json", "sub/package.json", &up] {
            assert_eq!(std::fs::read(folder.path().join(path)).unwrap(), b"secret");
        }
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("package.json");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let listing = FolderListing::open(folder.path()).unwrap();
        assert_eq!(names(&listing), [""; 0]);
        assert_eq!(listing.read("package.json"), None);
    }

    #[test]
    fn a_large_file_is_read_up_to_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("big"), vec![b'x'; READ_BYTES_MAX + 10]).unwrap();
        assert_eq!(FolderListing::open(folder.path()).unwrap().read("big").unwrap().len(), READ_BYTES_MAX + 1);
    }
}
