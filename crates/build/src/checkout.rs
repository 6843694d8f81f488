//! A build's folders: the source as files, a home, and how they go again.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use skylift_blob::{BlobError, Blobs};
use skylift_model::manifest::LINK_BYTES_MAX;
use skylift_model::{FileEntry, FileMode, Manifest};
use skylift_sandbox::remove_tree;

/// The folders of one build, removed when dropped.
pub(crate) struct Workplace {
    layout: Layout,
}

/// Where the folders of a build lie and whose they are.
#[derive(Clone)]
pub(crate) struct Layout {
    root: PathBuf,
    uid: u32,
}

/// Why a source could not be laid out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckoutError {
    #[error("{step} {path}")]
    Io {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("the blob of `{0}` is not stored")]
    Missing(String),
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckoutError {
    move |source| CheckoutError::Io { step, path: path.to_owned(), source }
}

impl Workplace {
    /// Makes the folders anew; what an earlier attempt left is removed first.
    pub(crate) fn create(root: PathBuf, uid: u32) -> Result<Self, CheckoutError> {
        remove_tree(&root).map_err(failed("remove", &root))?;
        let place = Self { layout: Layout { root, uid } };
        fs::create_dir_all(place.root()).map_err(failed("create", place.root()))?;
        for folder in [place.source(), place.home(), place.overlay_work()] {
            place.make_folder(&folder)?;
        }
        Ok(place)
    }

    /// For work that must not hold the workplace itself.
    pub(crate) fn layout(&self) -> Layout {
        self.layout.clone()
    }
}

impl std::ops::Deref for Workplace {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.layout
    }
}

impl Layout {
    /// All of it, for measuring.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The source, and later what was built in it.
    pub(crate) fn source(&self) -> PathBuf {
        self.root.join("source")
    }

    /// The build's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// What an overlay needs for itself.
    pub(crate) fn overlay_work(&self) -> PathBuf {
        self.root.join("overlay")
    }

    /// Lays a source out as files of the build's user, who may change them: the blobs are copied.
    pub(crate) fn lay_out(&self, blobs: &Blobs, manifest: &Manifest) -> Result<(), CheckoutError> {
        let source = self.source();
        let mut made = String::new();
        for file in manifest.files() {
            if let Some((folder, _)) = file.path.as_str().rsplit_once('/')
                && folder != made
            {
                self.make_folders(&source, folder)?;
                folder.clone_into(&mut made);
            }
            self.lay_out_file(blobs, &source, file)?;
        }
        Ok(())
    }

    fn lay_out_file(&self, blobs: &Blobs, source: &Path, file: &FileEntry) -> Result<(), CheckoutError> {
        let path = source.join(file.path.as_str());
        let mut stored = blobs.read_file(&file.sha256)?.ok_or_else(|| CheckoutError::Missing(file.path.to_string()))?;
        if file.mode == FileMode::Symlink {
            let mut target = String::new();
            let mut bytes = io::Read::take(stored.file, LINK_BYTES_MAX);
            io::Read::read_to_string(&mut bytes, &mut target).map_err(failed("read the target of", &path))?;
            std::os::unix::fs::symlink(target, &path).map_err(failed("link", &path))?;
            return self.give(&path);
        }
        let mode = if file.mode == FileMode::Executable { 0o755 } else { 0o644 };
        let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let mut target = made.map_err(failed("create", &path))?;
        io::copy(&mut stored.file, &mut target).map_err(failed("write", &path))?;
        self.give(&path)
    }

    /// Makes `folder` below `base`, part by part, so that each gets its owner.
    pub(crate) fn make_folders(&self, base: &Path, folder: &str) -> Result<(), CheckoutError> {
        let mut path = base.to_owned();
        for part in folder.split('/') {
            path.push(part);
            if !path.exists() {
                self.make_folder(&path)?;
            }
        }
        Ok(())
    }

    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), CheckoutError> {
        fs::create_dir(path).map_err(failed("create", path))?;
        self.give(path)
    }

    /// Makes the build's user the owner of what we just made. Without root everything is ours, and so is the build.
    fn give(&self, path: &Path) -> Result<(), CheckoutError> {
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.uid)).map_err(failed("give", path))?;
        }
        Ok(())
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // Everything that ran in here is dead.
        let root = &self.layout.root;
        if let Err(error) = remove_tree(root) {
            tracing::warn!(path = %root.display(), error = %error, "cannot remove a build's folder");
        }
    }
}
