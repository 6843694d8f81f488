//! A program's files as a folder of this node, made once and seen read-only by all its instances.
//!
//! Named by the digest of the list of files, and made aside before it gets its name: what is there is whole.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use skylift_blob::{BlobError, Blobs};
use skylift_model::manifest::{DOCUMENT_BYTES_MAX, LINK_BYTES_MAX};
use skylift_model::{Digest, FileEntry, FileMode, Manifest};
use skylift_sandbox::remove_tree;
use tokio::sync::Mutex;

/// The layers of this node.
pub(crate) struct Layers {
    folder: PathBuf,
    blobs: Blobs,
    /// One at a time: two that make the same would do it twice.
    making: Mutex<()>,
}

/// Why there is no folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayerError {
    #[error("{step} {path}")]
    Io {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("the list of the program's files {0} is not stored")]
    NoList(Digest),
    #[error("read the list of the program's files")]
    BadList(#[from] serde_json::Error),
    #[error("the bytes of `{0}` are not stored")]
    Missing(String),
    #[error("the platform is shutting down")]
    Interrupted,
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LayerError {
    move |source| LayerError::Io { step, path: path.to_owned(), source }
}

impl Layers {
    /// Those in `folder`; what an earlier process did not finish is removed.
    pub(crate) fn new(folder: PathBuf, blobs: Blobs) -> Self {
        let _ = remove_tree(&folder.join("partial"));
        Self { folder, blobs, making: Mutex::default() }
    }

    /// The folder with these files.
    pub(crate) async fn get(&self, files: &Digest) -> Result<PathBuf, LayerError> {
        let path = self.folder.join(files.to_string());
        let _making = self.making.lock().await;
        if path.is_dir() {
            return Ok(path);
        }
        let list = self.blobs.get(files, DOCUMENT_BYTES_MAX).await?.ok_or(LayerError::NoList(*files))?;
        let manifest: Manifest = serde_json::from_slice(&list)?;
        let (blobs, partial, whole) = (self.blobs.clone(), self.folder.join("partial"), path.clone());
        let made = tokio::task::spawn_blocking(move || {
            remove_tree(&partial).map_err(failed("remove", &partial))?;
            make_folder(&partial)?;
            lay_out(&blobs, &manifest, &partial)?;
            fs::rename(&partial, &whole).map_err(failed("name", &whole))
        });
        made.await.map_err(|_| LayerError::Interrupted)??;
        Ok(path)
    }
}

fn lay_out(blobs: &Blobs, manifest: &Manifest, folder: &Path) -> Result<(), LayerError> {
    let mut made = String::new();
    for file in manifest.files() {
        if let Some((parent, _)) = file.path.as_str().rsplit_once('/')
            && parent != made
        {
            make_folders(folder, parent)?;
            parent.clone_into(&mut made);
        }
        lay_out_file(blobs, folder, file)?;
    }
    Ok(())
}

/// The list has no path twice and none below a file, so no link is ever followed here.
fn lay_out_file(blobs: &Blobs, folder: &Path, file: &FileEntry) -> Result<(), LayerError> {
    let path = folder.join(file.path.as_str());
    let mut stored = blobs.read_file(&file.sha256)?.ok_or_else(|| LayerError::Missing(file.path.to_string()))?;
    if file.mode == FileMode::Symlink {
        let mut target = String::new();
        let mut bytes = io::Read::take(stored.file, LINK_BYTES_MAX);
        io::Read::read_to_string(&mut bytes, &mut target).map_err(failed("read the target of", &path))?;
        return std::os::unix::fs::symlink(target, &path).map_err(failed("link", &path));
    }
    let mode = if file.mode == FileMode::Executable { 0o755 } else { 0o644 };
    let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
    let mut target = made.map_err(failed("create", &path))?;
    io::copy(&mut stored.file, &mut target).map_err(failed("write", &path))?;
    // Whatever our own mask for new files is, the instance's user must be able to read it.
    target.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed("open up", &path))
}

fn make_folders(base: &Path, folder: &str) -> Result<(), LayerError> {
    let mut path = base.to_owned();
    for part in folder.split('/') {
        path.push(part);
        if !path.is_dir() {
            make_folder(&path)?;
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), LayerError> {
    fs::create_dir_all(path).map_err(failed("create", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(failed("open up", path))
}
