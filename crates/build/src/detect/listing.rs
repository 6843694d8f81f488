//! What detection looks at: the paths of a source and the bytes of a few of its files.

use std::collections::BTreeMap;

use skylift_model::FilePath;

/// The most that detection reads of one file, in bytes. A setting hidden behind more than this is not found.
pub const READ_BYTES_MAX: usize = 1 << 20;

/// The files of a source.
pub trait Listing {
    /// Every file, sorted by bytes.
    fn paths(&self) -> &[FilePath];

    /// The bytes of a file, or the first `READ_BYTES_MAX + 1` of them, by which a file that is too large is known.
    /// `None` where there is no such file or it cannot be read.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
}

/// Files held in memory.
#[derive(Clone, Debug, Default)]
pub struct MapListing {
    paths: Vec<FilePath>,
    bytes: BTreeMap<FilePath, Vec<u8>>,
}

impl MapListing {
    /// A listing of these files.
    pub fn new(files: impl IntoIterator<Item = (FilePath, Vec<u8>)>) -> Self {
        let bytes: BTreeMap<FilePath, Vec<u8>> = files.into_iter().collect();
        Self { paths: bytes.keys().cloned().collect(), bytes }
    }
}

impl Listing for MapListing {
    fn paths(&self) -> &[FilePath] {
        &self.paths
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let bytes = self.bytes.get(&path.parse::<FilePath>().ok()?)?;
        Some(bytes.iter().take(READ_BYTES_MAX + 1).copied().collect())
    }
}
