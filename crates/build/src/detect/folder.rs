//! A folder on disk as a listing. Never follows a symbolic link, never opens anything but regular files.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat2};
use skylift_model::FilePath;

use super::listing::{Listing, READ_BYTES_MAX};

/// Given files of a folder. Which of its files count is the caller's to say: what would be sent of it.
#[derive(Debug)]
pub struct FolderListing {
    folder: OwnedFd,
    paths: Vec<FilePath>,
}

/// A folder that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("open the folder {path}")]
pub struct OpenError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl FolderListing {
    /// The files `paths` of the folder at `path`, which itself may be a symbolic link.
    ///
    /// # Errors
    /// Where the folder cannot be opened.
    pub fn open(path: &Path, mut paths: Vec<FilePath>) -> Result<Self, OpenError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| OpenError { path: path.to_owned(), source: errno.into() })?;
        paths.sort_unstable();
        Ok(Self { folder, paths })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn open(folder: &Path, paths: &[&str]) -> FolderListing {
        FolderListing::open(folder, paths.iter().map(|path| path.parse().unwrap()).collect()).unwrap()
    }

    #[test]
    fn the_files_given_are_listed_sorted_and_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/b.txt"), "x").unwrap();
        let listing = open(folder.path(), &["c", "a/b.txt"]);
        assert_eq!(listing.paths().iter().map(FilePath::as_str).collect::<Vec<_>>(), ["a/b.txt", "c"]);
        assert_eq!(listing.read("a/b.txt").unwrap(), b"x");
        assert_eq!(listing.read("a"), None);
        assert_eq!(listing.read("c"), None);
    }

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("package.json");
        std::fs::write(&secret, "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        symlink(&secret, folder.path().join("package.json")).unwrap();
        symlink(outside.path(), folder.path().join("sub")).unwrap();
        let listing = open(folder.path(), &["package.json", "sub"]);

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
        let listing = open(folder.path(), &["package.json"]);
        assert_eq!(listing.read("package.json"), None);
    }

    #[test]
    fn a_large_file_is_read_up_to_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("big"), vec![b'x'; READ_BYTES_MAX + 10]).unwrap();
        assert_eq!(open(folder.path(), &["big"]).read("big").unwrap().len(), READ_BYTES_MAX + 1);
    }
}
