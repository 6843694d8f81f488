//! Named objects as files: replaced in one step, durable before anybody is told.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use skylift_durable as durable;
use skylift_model::Digest;

use super::Directory;
use crate::error::{BlobError, failed};
use crate::key::ObjectKey;

impl Directory {
    pub(crate) fn put_object(&self, key: &ObjectKey, bytes: &[u8]) -> Result<(), BlobError> {
        let target = self.object_path(key);
        let folder = target.parent().unwrap_or(&self.root).to_owned();
        durable::create_folders(&folder).map_err(failed("create", &folder))?;
        let (path, mut file) = self.create_partial()?;
        durable::write_all(&mut file, bytes).map_err(failed("write", &path))?;
        durable::sync_file(&file).map_err(failed("sync", &path))?;
        durable::rename(&path, &target).map_err(failed("rename to", &target))?;
        durable::sync_folder(&folder).map_err(failed("sync", &folder))
    }

    pub(crate) fn name_object(&self, key: &ObjectKey, digest: &Digest) -> Result<(), BlobError> {
        let target = self.object_path(key);
        let folder = target.parent().unwrap_or(&self.root).to_owned();
        durable::create_folders(&folder).map_err(failed("create", &folder))?;
        // Linked beside it and renamed, so that an object of that name is replaced in one step.
        let number = self.next_partial.fetch_add(1, Ordering::Relaxed);
        let partial = self.root.join("partial").join(format!("{}-{number}", std::process::id()));
        self.link_into(digest, &partial)?;
        durable::rename(&partial, &target).map_err(failed("rename to", &target))?;
        // Where the object was this very file, renaming did nothing.
        let _ = fs::remove_file(&partial);
        durable::sync_folder(&folder).map_err(failed("sync", &folder))
    }

    pub(crate) fn get_object(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, BlobError> {
        let path = self.object_path(key);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    pub(crate) fn delete_object(&self, key: &ObjectKey) -> Result<(), BlobError> {
        let path = self.object_path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => {
                // The deployment's folder, where this was the last object in it.
                let _ = path.parent().map(fs::remove_dir);
                Ok(())
            }
        }
    }

    fn object_path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join("objects").join(key.as_str())
    }
}
