//! A folder of blobs in front of the object store, within a budget.
//!
//! It can be lost at any time, even while the process runs: what is missing is fetched again. What went unused for
//! longest goes first. Nobody is disturbed by that: an open file, and a file linked elsewhere, keep their bytes.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use skylift_model::Digest;

use crate::directory::{Directory, Durability, Stored};
use crate::error::BlobError;

pub(crate) struct Cache {
    pub(crate) folder: Directory,
    bytes_max: u64,
    index: Mutex<Index>,
}

/// What lies in the folder, by last use. Pure.
#[derive(Default)]
struct Index {
    blobs: HashMap<Digest, Entry>,
    by_use: BTreeMap<u64, Digest>,
    bytes: u64,
    uses: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    size: u64,
    used: u64,
}

impl Cache {
    /// Opens the folder; what lies in it already is used again.
    pub(crate) fn open(root: &Path, bytes_max: u64) -> Result<Self, BlobError> {
        let folder = Directory::open(root, Durability::Losable)?;
        let mut found = folder.list()?;
        found.sort_by_key(|(_, meta)| (meta.atime(), meta.atime_nsec()));
        let mut index = Index::default();
        for (digest, meta) in found {
            index.note(digest, meta.len());
        }
        Ok(Self { folder, bytes_max, index: Mutex::new(index) })
    }

    /// Opens a blob that is here and whole. One that is damaged goes, and is not here. Blocking.
    pub(crate) fn open_file(&self, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        let found = self.unless_damaged(digest, self.folder.open_file(digest))?;
        self.used(digest, found.as_ref().map(|stored| stored.size));
        Ok(found)
    }

    /// The bytes of a blob that is here and whole. Blocking.
    pub(crate) fn get(&self, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, BlobError> {
        let found = self.unless_damaged(digest, self.folder.get(digest, bytes_max))?;
        self.used(digest, found.as_ref().map(|bytes| bytes.len() as u64));
        Ok(found)
    }

    /// Takes in bytes whose digests are known to be theirs. Blocking.
    pub(crate) fn put_all(&self, all: &[Vec<u8>]) -> Result<(), BlobError> {
        let digests = self.folder.put_all(all)?;
        for (digest, bytes) in digests.iter().zip(all) {
            self.keep(digest, bytes.len() as u64);
        }
        Ok(())
    }

    /// Takes in a file that is known to have the digest. Blocking.
    pub(crate) fn adopt(&self, path: PathBuf, file: File, size: u64, digest: &Digest) -> Result<(), BlobError> {
        self.folder.finish_partial(path, file, size, *digest)?;
        self.keep(digest, size);
        Ok(())
    }

    /// How many bytes lie here.
    pub(crate) fn bytes(&self) -> u64 {
        self.index().bytes
    }

    fn unless_damaged<T>(&self, digest: &Digest, found: Result<Option<T>, BlobError>) -> Result<Option<T>, BlobError> {
        match found {
            // A copy that is too large is none: how large it should be, the object store knows.
            Err(BlobError::Corrupt(_) | BlobError::TooLarge { .. }) => self.folder.remove(digest).map(|()| None),
            found => found,
        }
    }

    fn used(&self, digest: &Digest, size: Option<u64>) {
        match size {
            Some(size) => self.index().note(*digest, size),
            None => self.index().forget(digest),
        }
    }

    fn keep(&self, digest: &Digest, size: u64) {
        let over = {
            let mut index = self.index();
            index.note(*digest, size);
            index.beyond(self.bytes_max, digest)
        };
        for digest in over {
            // Gone already, or it goes at the next start.
            let _ = self.folder.remove(&digest);
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn note(&mut self, digest: Digest, size: u64) {
        self.forget(&digest);
        self.uses += 1;
        self.by_use.insert(self.uses, digest);
        self.blobs.insert(digest, Entry { size, used: self.uses });
        self.bytes += size;
    }

    fn forget(&mut self, digest: &Digest) {
        if let Some(entry) = self.blobs.remove(digest) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.size;
        }
    }

    /// Forgets and returns what went unused for longest, until the rest fits; never `kept`, which was just taken in.
    fn beyond(&mut self, bytes_max: u64, kept: &Digest) -> Vec<Digest> {
        let mut over = Vec::new();
        while self.bytes > bytes_max
            && let Some((_, digest)) = self.by_use.first_key_value().filter(|(_, digest)| *digest != kept)
        {
            let digest = *digest;
            self.forget(&digest);
            over.push(digest);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u64) -> Digest {
        Digest::of(&n.to_le_bytes())
    }

    /// A list in order of use, the latest last, each with its size.
    #[derive(Default)]
    struct Model(Vec<(Digest, u64)>);

    impl Model {
        fn note(&mut self, digest: Digest, size: u64) {
            self.0.retain(|(other, _)| *other != digest);
            self.0.push((digest, size));
        }

        fn beyond(&mut self, bytes_max: u64) -> Vec<Digest> {
            let mut over = Vec::new();
            while self.0.len() > 1 && self.0.iter().map(|(_, size)| size).sum::<u64>() > bytes_max {
                over.push(self.0.remove(0).0);
            }
            over
        }
    }

    #[test]
    fn what_went_unused_for_longest_goes_as_in_a_plain_list() {
        let (mut index, mut model) = (Index::default(), Model::default());
        let mut state = 1_u64;
        for _ in 0..5000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (which, act) = (state >> 33, state >> 60);
            let blob = digest(which % 40);
            if act == 0 {
                index.forget(&blob);
                model.0.retain(|(other, _)| *other != blob);
            } else {
                let size = (which % 40) * 10;
                index.note(blob, size);
                model.note(blob, size);
                assert_eq!(index.beyond(2000, &blob), model.beyond(2000));
            }
            assert_eq!(index.bytes, model.0.iter().map(|(_, size)| size).sum::<u64>());
            assert_eq!(
                index.by_use.values().copied().collect::<Vec<_>>(),
                model.0.iter().map(|(d, _)| *d).collect::<Vec<_>>()
            );
        }
    }
}
