//! How large files are, without reading them.

use std::fs;

use rayon::prelude::*;
use skylift_model::FilePath;

use super::Walked;

impl Walked {
    /// The largest file and its size in bytes. One that is gone meanwhile counts as empty; whoever reads it will tell.
    pub fn largest(&self) -> Option<(&FilePath, u64)> {
        let size = |path| fs::symlink_metadata(self.root.join(FilePath::as_str(path))).map_or(0, |found| found.len());
        self.files.par_iter().with_min_len(64).map(|path| (path, size(path))).max_by_key(|(_, size)| *size)
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk;

    #[test]
    fn the_largest_file_is_found_by_its_size_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("small"), "a").unwrap();
        // A hole: nobody could read it all.
        std::fs::File::create(folder.path().join("vast")).unwrap().set_len(1 << 40).unwrap();
        let walked = walk(folder.path()).unwrap();
        let (path, size) = walked.largest().unwrap();
        assert_eq!((path.as_str(), size), ("vast", 1 << 40));
    }
}
