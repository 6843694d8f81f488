//! A build's folders: the source as files, a home, and how they go again.

use std::io;
use std::path::{Path, PathBuf};

use skylift_blob::{Access, Blobs};
use skylift_model::Manifest;
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

pub(crate) use skylift_blob::LayOutError as CheckoutError;

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckoutError {
    move |source| CheckoutError::Io { step, path: path.to_owned(), source }
}

impl Workplace {
    /// Makes the folders anew; what an earlier attempt left is removed first.
    pub(crate) fn create(root: PathBuf, uid: u32) -> Result<Self, CheckoutError> {
        remove_tree(&root).map_err(failed("remove", &root))?;
        let place = Self { layout: Layout { root, uid } };
        skylift_durable::create_folders(place.root()).map_err(failed("create", place.root()))?;
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
        blobs.lay_out(manifest, &self.source(), self.access())
    }

    /// Makes `folder` below `base`, part by part, so that each gets its owner.
    pub(crate) fn make_folders(&self, base: &Path, folder: &str) -> Result<(), CheckoutError> {
        self.access().make_folders(base, folder)
    }

    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), CheckoutError> {
        self.access().make_folder(path)
    }

    /// What we make is the build's user's. Without root everything is ours, and so is the build.
    fn access(&self) -> Access {
        let owner = rustix::process::geteuid().is_root().then_some(self.uid);
        Access { owner, folder: 0o755, file: 0o644 }
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
