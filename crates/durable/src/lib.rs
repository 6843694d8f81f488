//! The steps that make state survive a power cut: every fsync, rename and commit of the platform goes through here; and
//! the writes before them ([`mod@write`]), at which a disk may be full.
//!
//! Each step has a number, counted over the whole process from 1, so that a test can name it; writes are counted apart. A
//! build with debug assertions obeys these variables of the environment; a release build looks at none:
//!
//! ```text
//! SKYLIFT_CRASH_AT=N:before|after         the process kills itself before or after step N
//! SKYLIFT_CRASH_AT=N:before|after:power   … and what was not synced is lost, as when the power fails
//! SKYLIFT_CRASH_WEAKEN=no-sync            nothing is synced: the control, with which a power cut must lose something;
//!                                         the other defences that a control leaves out are those of [`Defence`]
//! SKYLIFT_FAIL_AT=N[-M]:enospc|edquot|eio|slow         steps N to M fail with that error, or take 300 ms longer
//! SKYLIFT_FAIL_WRITE_AT=N[-M]:enospc|edquot|eio|slow   the same of writes
//! ```
//!
//! Whatever fails or is late by that is said on stderr.

#![expect(clippy::disallowed_methods, reason = "this is where everybody else is sent")]

mod cut;
mod disk;
mod fault;
mod write;

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use disk::Kind;
pub use disk::{Disk, OfDisk, disk};
pub use fault::{Defence, left_out};
use fault::{step, sync};
pub use write::{copy, create, create_folder, create_folders, hard_link, rename_losable, symlink, write_all};

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
    step(Kind::Rename, "rename", || {
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

/// Is late where that is a control's fault: what was promised is not done yet. Never in a release build.
pub fn is_late() {
    if cfg!(debug_assertions) {
        fault::take_longer();
    }
}

/// Whether a disk takes bytes in a folder, names and syncs them: a file that is made for this and goes again. What became of it
/// is [`disk`]'s. Blocking.
pub fn try_disk(folder: &Path) {
    let (path, named) = (folder.join("disk-probe.partial"), folder.join("disk-probe"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let tried = create(&options, &path).and_then(|mut file| {
        write_all(&mut file, b"probe\n")?;
        sync_file(&file)?;
        rename(&path, &named)?;
        sync_folder(folder)
    });
    // Whatever failed is noted, and is all there is to say.
    let _ = tried;
    for left in [path, named] {
        let _ = std::fs::remove_file(left);
    }
}

/// Commits a transaction of a store that sees to its own syncing.
pub fn commit<T, E: From<io::Error> + OfDisk>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    step(Kind::Commit, "commit", work)
}
