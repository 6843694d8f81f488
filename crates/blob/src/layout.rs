//! A list of files laid out as a folder: each a copy of its blob.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use skylift_durable as durable;
use skylift_model::manifest::LINK_BYTES_MAX;
use skylift_model::{FileEntry, FileMode, Manifest};

use crate::{BlobError, Blobs};

/// Whose the files are, and who may do what with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The user and group they are given to; `None` for our own.
    pub owner: Option<u32>,
    /// The mode of folders.
    pub folder: u32,
    /// The mode of files; those that are programs may also be executed by everybody.
    pub file: u32,
}

/// Why a list of files could not be laid out.
#[derive(Debug, thiserror::Error)]
pub enum LayOutError {
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

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LayOutError {
    move |source| LayOutError::Io { step, path: path.to_owned(), source }
}

impl Blobs {
    /// Lays out files in a folder that is there and has none of them. Blocking.
    ///
    /// Names are followed as they are: a list has none below a file or a link, so that no link of it can lead elsewhere.
    pub fn lay_out(&self, manifest: &Manifest, folder: &Path, access: Access) -> Result<(), LayOutError> {
        let mut made = String::new();
        for file in manifest.files() {
            if let Some((parent, _)) = file.path.as_str().rsplit_once('/')
                && parent != made
            {
                access.make_folders(folder, parent)?;
                parent.clone_into(&mut made);
            }
            self.lay_out_file(file, folder, access)?;
        }
        Ok(())
    }

    fn lay_out_file(&self, file: &FileEntry, folder: &Path, access: Access) -> Result<(), LayOutError> {
        let path = folder.join(file.path.as_str());
        let mut stored = self.read_file(&file.sha256)?.ok_or_else(|| LayOutError::Missing(file.path.to_string()))?;
        if file.mode == FileMode::Symlink {
            let mut target = String::new();
            let mut bytes = io::Read::take(stored.file, LINK_BYTES_MAX);
            io::Read::read_to_string(&mut bytes, &mut target).map_err(failed("read the target of", &path))?;
            durable::symlink(&target, &path).map_err(failed("link", &path))?;
            return access.give(&path);
        }
        let mode = if file.mode == FileMode::Executable { access.file | 0o111 } else { access.file };
        let made = durable::create(OpenOptions::new().write(true).create_new(true).mode(mode), &path);
        let mut target = made.map_err(failed("create", &path))?;
        durable::copy(&mut stored.file, &mut target).map_err(failed("write", &path))?;
        // Whatever our own mask for new files is.
        target.set_permissions(Permissions::from_mode(mode)).map_err(failed("set the mode of", &path))?;
        access.give(&path)
    }
}

impl Access {
    /// Makes `folder` below `base`, part by part, where it is not there.
    pub fn make_folders(self, base: &Path, folder: &str) -> Result<(), LayOutError> {
        let mut path = base.to_owned();
        for part in folder.split('/') {
            path.push(part);
            if !path.exists() {
                self.make_folder(&path)?;
            }
        }
        Ok(())
    }

    /// Makes one folder.
    pub fn make_folder(self, path: &Path) -> Result<(), LayOutError> {
        durable::create_folder(path).map_err(failed("create", path))?;
        fs::set_permissions(path, Permissions::from_mode(self.folder)).map_err(failed("set the mode of", path))?;
        self.give(path)
    }

    fn give(self, path: &Path) -> Result<(), LayOutError> {
        match self.owner {
            Some(_) => std::os::unix::fs::lchown(path, self.owner, self.owner).map_err(failed("give", path)),
            None => Ok(()),
        }
    }
}
