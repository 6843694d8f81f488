//! A stored source, as detection reads it.

use std::io::Read;
use std::sync::OnceLock;

use anyhow::Context;
use skylift_blob::Blobs;
use skylift_model::{Digest, FileMode, FilePath, Manifest};

use crate::detect::{Listing, READ_BYTES_MAX};

pub(crate) struct BlobListing {
    blobs: Blobs,
    manifest: Manifest,
    paths: Vec<FilePath>,
    failure: OnceLock<anyhow::Error>,
}

impl BlobListing {
    pub(crate) fn new(blobs: Blobs, manifest: Manifest) -> Self {
        let paths = manifest.files().iter().map(|file| file.path.clone()).collect();
        Self { blobs, manifest, paths, failure: OnceLock::new() }
    }

    /// The first file that is there but could not be read. To detection it seemed not to be there, so what was detected
    /// means nothing.
    pub(crate) fn failure(self) -> Option<anyhow::Error> {
        self.failure.into_inner()
    }

    fn beginning(&self, digest: &Digest) -> anyhow::Result<Vec<u8>> {
        let stored = self.blobs.read_file(digest)?.context("it is not stored")?;
        let mut bytes = Vec::new();
        stored.file.take(READ_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Listing for BlobListing {
    fn paths(&self) -> &[FilePath] {
        &self.paths
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.manifest.get(path).filter(|file| file.mode != FileMode::Symlink)?;
        match self.beginning(&file.sha256) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let _ = self.failure.set(error.context(format!("read `{path}`")));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::FileEntry;

    use super::*;

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_not_taken_for_one_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let sha256 = blobs.put(b"{}".to_vec()).await.unwrap();
        let file = FileEntry { path: "package.json".parse().unwrap(), sha256, size: 2, mode: FileMode::File };
        let manifest = Manifest::new(vec![file]).unwrap();
        let listing = BlobListing::new(blobs.clone(), manifest.clone());
        assert_eq!((listing.read("package.json"), listing.read("other.json")), (Some(b"{}".to_vec()), None));
        assert!(listing.failure().is_none());

        std::fs::remove_dir_all(folder.path().join("sha256")).unwrap();
        let listing = BlobListing::new(blobs, manifest);
        assert_eq!(listing.read("package.json"), None);
        assert!(format!("{:#}", listing.failure().unwrap()).starts_with("read `package.json`: "));
    }
}
