//! A program's files as a folder of this node, made once and seen read-only by all its instances.
//!
//! Named by the digest of the list of files, and made aside before it gets its name: what is there is whole. One that nothing
//! needs any more goes, but never while an instance uses it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use skylift_blob::{Access, BlobError, Blobs, LayOutError};
use skylift_model::manifest::DOCUMENT_BYTES_MAX;
use skylift_model::{Digest, Manifest};
use skylift_sandbox::remove_tree;
use tokio::sync::Mutex;

/// Instances have users of their own, and each may change what it sees: the change goes to its own folder above. Nobody else
/// gets to the layer, which lies in the platform's private folder.
const ANYBODYS: Access = Access { owner: None, folder: 0o777, file: 0o666 };

/// The layers of this node.
pub(crate) struct Layers {
    folder: PathBuf,
    blobs: Blobs,
    /// One at a time: two that make the same would do it twice, and what is being removed is not taken.
    making: Mutex<()>,
    users: Users,
}

/// How many use each layer.
type Users = Arc<std::sync::Mutex<HashMap<Digest, usize>>>;

/// A layer that is used for as long as this is there.
pub(crate) struct Layer {
    path: PathBuf,
    files: Digest,
    users: Users,
}

impl Layer {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = users.get_mut(&self.files) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.files);
            }
        }
    }
}

/// What the names of layers on their way out begin with.
const REMOVED: &str = "removed-";

/// Why there is no folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayerError {
    #[error(transparent)]
    LayOut(#[from] LayOutError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("{step} {path}")]
    Io {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the list of the program's files {0} is not stored")]
    NoList(Digest),
    #[error("read the list of the program's files")]
    BadList(#[from] serde_json::Error),
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
        Self { folder, blobs, making: Mutex::default(), users: Users::default() }
    }

    /// The folder with these files.
    pub(crate) async fn get(&self, files: &Digest) -> Result<Layer, LayerError> {
        let path = self.folder.join(files.to_string());
        let _making = self.making.lock().await;
        if path.is_dir() {
            return Ok(self.used(path, *files));
        }
        let list = self.blobs.get(files, DOCUMENT_BYTES_MAX).await?.ok_or(LayerError::NoList(*files))?;
        let manifest: Manifest = serde_json::from_slice(&list)?;
        let (blobs, folder, whole) = (self.blobs.clone(), self.folder.clone(), path.clone());
        let partial = folder.join("partial");
        let made = tokio::task::spawn_blocking(move || {
            remove_tree(&partial).map_err(failed("remove", &partial))?;
            skylift_durable::create_folders(&folder).map_err(failed("create", &folder))?;
            ANYBODYS.make_folder(&partial)?;
            blobs.lay_out(&manifest, &partial, ANYBODYS)?;
            skylift_durable::rename_losable(&partial, &whole).map_err(failed("name", &whole))
        });
        made.await.map_err(|_| LayerError::Interrupted)??;
        Ok(self.used(path, *files))
    }

    fn used(&self, path: PathBuf, files: Digest) -> Layer {
        *self.users.lock().unwrap_or_else(PoisonError::into_inner).entry(files).or_default() += 1;
        Layer { path, files, users: self.users.clone() }
    }

    /// Removes the layers that are not among `needed` and that nobody uses. Returns how many.
    pub(crate) async fn sweep(&self, needed: &HashSet<Digest>) -> Result<usize, LayerError> {
        let aside = {
            let _making = self.making.lock().await;
            self.set_aside(needed)?
        };
        let removed = tokio::task::spawn_blocking(move || {
            aside.iter().try_for_each(|path| remove_tree(path).map_err(failed("remove", path)))?;
            Ok(aside.len())
        });
        removed.await.map_err(|_| LayerError::Interrupted)?
    }

    /// Takes their names from layers that are to go, so that nobody finds them any more. Also what an earlier sweep left.
    fn set_aside(&self, needed: &HashSet<Digest>) -> Result<Vec<PathBuf>, LayerError> {
        let mut aside = Vec::new();
        if !self.folder.is_dir() {
            return Ok(aside);
        }
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in fs::read_dir(&self.folder).map_err(failed("read", &self.folder))?.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(REMOVED) {
                aside.push(path);
                continue;
            }
            let Ok(files) = name.parse::<Digest>() else { continue };
            if !needed.contains(&files) && !users.contains_key(&files) {
                let to = self.folder.join(format!("{REMOVED}{name}"));
                fs::rename(&path, &to).map_err(failed("rename", &path))?;
                aside.push(to);
            }
        }
        Ok(aside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn what_nothing_needs_goes_and_what_is_used_stays_until_it_is_not() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("layers");
        let layers = Layers::new(folder.clone(), Blobs::open(&home.path().join("blobs")).unwrap());
        assert_eq!(layers.sweep(&HashSet::new()).await.unwrap(), 0, "none was ever made");
        let [needed, used, unneeded] = [b"needed", b"used--", b"unused"].map(|text| Digest::of(text));
        for files in [needed, used, unneeded] {
            fs::create_dir_all(folder.join(files.to_string()).join("below")).unwrap();
        }
        fs::create_dir(folder.join("removed-earlier")).unwrap();
        let (first, second) = (layers.get(&used).await.unwrap(), layers.get(&used).await.unwrap());
        assert!(first.path().ends_with(used.to_string()));

        assert_eq!(layers.sweep(&HashSet::from([needed])).await.unwrap(), 2);
        let mut left = [needed.to_string(), used.to_string()];
        left.sort();
        assert_eq!(names(&folder), left);
        drop(first);
        assert_eq!(layers.sweep(&HashSet::from([needed])).await.unwrap(), 0, "another still uses it");
        drop(second);
        assert_eq!(layers.sweep(&HashSet::from([needed])).await.unwrap(), 1);
        assert_eq!(names(&folder), [needed.to_string()]);
    }
}
