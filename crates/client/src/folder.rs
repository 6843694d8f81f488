//! A folder as a source: which of its files are sent, and their digests.
//!
//! [`walk`](walk::walk) lists, [`Folder::hash`] reads. Nothing is read twice while it does not change: see [`cache`].

mod advice;
mod cache;
mod dockerignore;
mod hash;
mod ignored;
mod never;
mod rules;
mod sizes;
pub mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use skylift_model::manifest::InvalidManifest;
use skylift_model::path::InvalidPath;
use skylift_model::{FileEntry, Manifest};

pub use hash::HashProgress;
pub use ignored::Ignored;
pub use walk::{Skipped, Walked, walk};

/// A folder whose files are known by digest.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    manifest: Manifest,
    skipped: Skipped,
    ignored: Vec<Ignored>,
}

/// Why a folder cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{0} does not exist")]
    Missing(PathBuf),
    #[error("{0} is not a folder")]
    NotAFolder(PathBuf),
    #[error("{0} is empty: there is nothing to deploy")]
    Empty(PathBuf),
    #[error("nothing to deploy in {root}: {skipped}, and nothing else is there")]
    AllSkipped { root: PathBuf, skipped: Skipped, ignored: Vec<Ignored> },
    #[error("read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the name of {0:?} is not UTF-8")]
    NotUtf8(PathBuf),
    #[error("{path:?} cannot be sent")]
    Name {
        path: PathBuf,
        #[source]
        source: InvalidPath,
    },
    #[error("{path} is a symbolic link to {target}, which is {why}")]
    LinkOutside { path: PathBuf, target: PathBuf, why: &'static str },
    #[error("{0} changed while it was being read")]
    Changed(PathBuf),
    #[error("pattern in {file}: {message}")]
    Pattern { file: PathBuf, message: String },
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
}

impl Folder {
    /// Lists and hashes a folder, in parallel. `cache` is the folder where digests are remembered between calls;
    /// `now` decides which of them may be trusted. Blocks: for asynchronous callers, inside `spawn_blocking`.
    pub fn read(
        root: &Path,
        cache: Option<&Path>,
        now: SystemTime,
        progress: &dyn HashProgress,
    ) -> Result<Self, FolderError> {
        Self::hash(walk(root)?, cache, now, progress)
    }

    /// Hashes what was listed.
    pub fn hash(
        walked: Walked,
        cache: Option<&Path>,
        now: SystemTime,
        progress: &dyn HashProgress,
    ) -> Result<Self, FolderError> {
        let files = hash::hash(&walked, cache, now, progress)?;
        let Walked { root, skipped, ignored, .. } = walked;
        Ok(Self { manifest: Manifest::new(files)?, root, skipped, ignored })
    }

    /// The folder's absolute path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files to send, sorted by path.
    pub fn files(&self) -> &[FileEntry] {
        self.manifest.files()
    }

    /// What is left out.
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// Of what is left out, that which ignore files name.
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// The sum of all sizes, in bytes.
    pub fn bytes(&self) -> u64 {
        self.manifest.bytes()
    }
}
