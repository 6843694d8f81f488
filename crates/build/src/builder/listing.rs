//! A stored source, as detection reads it.

use std::io::Read;

use skylift_blob::Blobs;
use skylift_model::{FileMode, FilePath, Manifest};

use crate::detect::{Listing, READ_BYTES_MAX};

pub(crate) struct BlobListing {
    blobs: Blobs,
    manifest: Manifest,
    paths: Vec<FilePath>,
}

impl BlobListing {
    pub(crate) fn new(blobs: Blobs, manifest: Manifest) -> Self {
        let paths = manifest.files().iter().map(|file| file.path.clone()).collect();
        Self { blobs, manifest, paths }
    }
}

impl Listing for BlobListing {
    fn paths(&self) -> &[FilePath] {
        &self.paths
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.manifest.get(path).filter(|file| file.mode != FileMode::Symlink)?;
        let stored = self.blobs.read_file(&file.sha256).ok()??;
        let mut bytes = Vec::new();
        stored.file.take(READ_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}
