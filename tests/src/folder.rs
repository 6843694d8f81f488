//! Sources, written by code.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

/// A folder that goes when it is dropped.
pub struct Folder(TempDir);

/// A site of one page that says `text`.
pub fn site(text: &str) -> Folder {
    Folder::new().file("index.html", text)
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Folder {
    /// An empty folder.
    pub fn new() -> Self {
        Self(TempDir::with_prefix("skylift-source-").unwrap())
    }

    /// With a file, or with other contents of it.
    #[must_use]
    pub fn file(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.write(path, contents);
        self
    }

    /// With a file that may be executed.
    #[must_use]
    pub fn program(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.write(path, contents);
        fs::set_permissions(self.path().join(path), fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// With a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        symlink(target, self.path().join(path)).unwrap();
        self
    }

    /// Writes a file.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path as an argument.
    pub fn arg(&self) -> &str {
        self.path().to_str().unwrap()
    }
}
