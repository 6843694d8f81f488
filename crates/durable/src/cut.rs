//! A power cut on request: what was written but never synced is lost.
//!
//! The kernel keeps what a killed process wrote, so killing alone never shows a missing sync. Where a test asks for
//! it, renames are noted with whether the bytes behind them were synced; the cut then empties the files whose bytes
//! were not, and takes back the names whose folder was not. That is the worst a file system may do.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use crate::fault;

static LEDGER: LazyLock<Mutex<Ledger>> = LazyLock::new(Mutex::default);

/// What a power cut would lose.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Files whose bytes were synced one by one, by device and inode: a file may get more names.
    synced: HashSet<(u64, u64)>,
    /// What was made before this is on disk: made before we started, or before a sync of everything.
    all_until: SystemTime,
    /// Names that are not on disk.
    names: Vec<Renamed>,
    /// Files with a name whose bytes are not.
    empty: Vec<PathBuf>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { synced: HashSet::new(), all_until: SystemTime::now(), names: Vec::new(), empty: Vec::new() }
    }
}

#[derive(Debug)]
struct Renamed {
    to: PathBuf,
    /// What had the name before, kept under another one.
    before: Option<PathBuf>,
}

/// Notes a step, where a test asks for a power cut.
pub(crate) fn note(step: impl FnOnce(&mut Ledger)) {
    if fault::loses_power() {
        step(&mut LEDGER.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Loses what was not synced, where a test asks for it.
pub(crate) fn lose_unsynced() {
    note(Ledger::lose);
}

impl Ledger {
    pub(crate) fn file_synced(&mut self, file: &File) {
        if let Ok(meta) = file.metadata() {
            self.synced.insert((meta.dev(), meta.ino()));
        }
    }

    /// Every file and every name so far.
    pub(crate) fn all_synced(&mut self) {
        self.all_until = SystemTime::now();
        self.empty.clear();
        self.keep_names(|_| true);
    }

    fn is_synced(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|meta| {
            let is_old = meta.created().is_ok_and(|made| made < self.all_until);
            is_old || self.synced.contains(&(meta.dev(), meta.ino()))
        })
    }

    pub(crate) fn will_rename(&mut self, from: &Path, to: &Path) {
        if !self.is_synced(from) {
            self.empty.push(to.to_owned());
        }
        let beside = to.with_extension(format!("before-{}", self.names.len()));
        let before = fs::hard_link(to, &beside).is_ok().then_some(beside);
        self.names.push(Renamed { to: to.to_owned(), before });
    }

    pub(crate) fn folder_synced(&mut self, folder: &Path) {
        self.keep_names(|name| name.to.parent() == Some(folder));
    }

    fn keep_names(&mut self, is_kept: impl Fn(&Renamed) -> bool) {
        for name in self.names.extract_if(.., |name| is_kept(name)) {
            let _ = name.before.map(fs::remove_file);
        }
    }

    fn lose(&mut self) {
        for path in self.empty.drain(..) {
            let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
            let _ = File::create(&path);
        }
        for name in self.names.drain(..).rev() {
            let _ = match name.before {
                Some(before) => fs::rename(before, &name.to),
                None => fs::remove_file(&name.to),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if every file of the test was made after the process started.
    fn begun() -> Ledger {
        Ledger { all_until: SystemTime::UNIX_EPOCH, ..Ledger::default() }
    }

    fn written(folder: &Path, name: &str) -> (PathBuf, File) {
        let path = folder.join(name);
        fs::write(&path, name).unwrap();
        (path.clone(), File::open(path).unwrap())
    }

    #[test]
    fn what_was_synced_and_named_in_a_synced_folder_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (from, file) = written(folder.path(), "partial");
        let to = folder.path().join("final");
        let mut ledger = begun();
        ledger.file_synced(&file);
        ledger.will_rename(&from, &to);
        fs::rename(&from, &to).unwrap();
        ledger.folder_synced(folder.path());
        ledger.lose();
        assert_eq!(fs::read_to_string(&to).unwrap(), "partial");
    }

    #[test]
    fn bytes_that_were_not_synced_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (from, _) = written(folder.path(), "partial");
        let to = folder.path().join("final");
        let mut ledger = begun();
        ledger.will_rename(&from, &to);
        fs::rename(&from, &to).unwrap();
        ledger.folder_synced(folder.path());
        ledger.lose();
        assert_eq!(fs::read_to_string(&to).unwrap(), "");
    }

    #[test]
    fn a_name_that_was_not_synced_means_what_it_meant_before() {
        let folder = tempfile::tempdir().unwrap();
        let (from, file) = written(folder.path(), "partial");
        let (to, _) = written(folder.path(), "final");
        let fresh = folder.path().join("fresh");
        let (other, other_file) = written(folder.path(), "other");
        let mut ledger = begun();
        ledger.file_synced(&file);
        ledger.file_synced(&other_file);
        for (from, to) in [(&from, &to), (&other, &fresh)] {
            ledger.will_rename(from, to);
            fs::rename(from, to).unwrap();
        }
        ledger.lose();
        assert_eq!(fs::read_to_string(&to).unwrap(), "final");
        assert!(!fresh.exists());
    }
}
