//! The steps that make state survive a power cut: every fsync, rename and commit of the platform goes through here.
//!
//! Each step has a number, counted over the whole process from 1, so that a test can name it. A build with debug
//! assertions obeys two variables of the environment; a release build looks at neither:
//!
//! ```text
//! SKYLIFT_CRASH_AT=N:before|after         the process kills itself before or after step N
//! SKYLIFT_CRASH_AT=N:before|after:power   … and what was not synced is lost, as when the power fails
//! SKYLIFT_CRASH_WEAKEN=no-sync            nothing is synced: the control, with which a power cut must lose something;
//!                                         the other defences that a control leaves out are those of [`Defence`]
//! SKYLIFT_FAIL_AT=N[-M]:enospc|eio|slow   steps N to M fail with that error, or take 300 ms longer
//! ```

mod cut;
mod fault;

use std::fs::File;
use std::io;
use std::path::Path;

pub use fault::{Defence, left_out};
use fault::{step, sync};

/// Waits until a file's bytes are on disk.
pub fn sync_file(file: &File) -> io::Result<()> {
    sync("sync file", || {
        file.sync_data()?;
        cut::note(|ledger| ledger.file_synced(file));
        Ok(())
    })
}

/// Waits until everything written to the file system that holds `file` is on disk; dearer than one
/// [`sync_file`], cheaper than many.
pub fn sync_file_system(file: &File) -> io::Result<()> {
    sync("sync file system", || {
        rustix::fs::syncfs(file)?;
        cut::note(|ledger| ledger.all_synced());
        Ok(())
    })
}

/// Gives a synced file its final name. The name itself is durable after [`sync_folder`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step("rename", || {
        cut::note(|ledger| ledger.will_rename(from, to));
        std::fs::rename(from, to)
    })
}

/// Waits until the names in a folder are on disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    sync("sync folder", || {
        File::open(folder)?.sync_all()?;
        cut::note(|ledger| ledger.folder_synced(folder));
        Ok(())
    })
}

/// Commits a transaction of a store that sees to its own syncing.
pub fn commit<T, E: From<io::Error>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    step("commit", work)
}
