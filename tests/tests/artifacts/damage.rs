//! What becomes of files behind the platform's back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A kind of damage, done to all files at once: each gets new bytes, or is lost.
pub(crate) struct Damage {
    pub(crate) name: &'static str,
    change: Change,
}

/// What becomes of the bytes of one of all files.
type Change = fn(&[Vec<u8>], usize) -> Option<Vec<u8>>;

pub(crate) const DAMAGES: &[Damage] = &[
    Damage { name: "flipped", change: |all, n| Some(changed(&all[n], |bytes| flip(bytes))) },
    Damage { name: "cut", change: |all, n| Some(changed(&all[n], |bytes| bytes.truncate(bytes.len() / 2))) },
    Damage { name: "emptied", change: |_, _| Some(Vec::new()) },
    Damage { name: "grown", change: |all, n| Some(changed(&all[n], |bytes| bytes.push(b'x'))) },
    Damage { name: "swapped", change: |all, n| Some(all[(n + 1) % all.len()].clone()) },
    Damage { name: "lost", change: |_, _| None },
];

fn changed(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    change(&mut bytes);
    bytes
}

/// Flips one bit in the middle.
pub(crate) fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 4;
    }
}

/// Lists of files are JSON, which none of the files is.
pub(crate) fn is_list(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'{' | b'['))
}

/// Stored files, with what they held.
pub(crate) struct Files {
    paths: Vec<PathBuf>,
    contents: Vec<Vec<u8>>,
}

impl Files {
    /// All files below a folder that are no lists.
    pub(crate) fn below(folder: &Path) -> Self {
        Self::found(folder, |bytes| !is_list(bytes))
    }

    /// All lists of files below a folder.
    pub(crate) fn lists_below(folder: &Path) -> Self {
        Self::found(folder, is_list)
    }

    fn found(folder: &Path, is_meant: impl Fn(&[u8]) -> bool) -> Self {
        let mut all = Vec::new();
        find(folder, &mut all);
        let (paths, contents) = all.into_iter().filter(|(_, bytes)| is_meant(bytes)).unzip();
        Self { paths, contents }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    pub(crate) fn damage(&self, damage: &Damage) {
        for (number, path) in self.paths.iter().enumerate() {
            put(path, (damage.change)(&self.contents, number));
        }
    }

    pub(crate) fn restore(&self) {
        for (path, bytes) in self.paths.iter().zip(&self.contents) {
            put(path, Some(bytes.clone()));
        }
    }
}

fn find(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            find(&entry.path(), found);
        } else {
            found.push((entry.path(), fs::read(entry.path()).unwrap()));
        }
    }
}

fn put(path: &Path, bytes: Option<Vec<u8>>) {
    if path.exists() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    match bytes {
        Some(bytes) => fs::write(path, bytes).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
}
