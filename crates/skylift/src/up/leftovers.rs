//! What earlier processes left on this node: builds they did not end, and files that a power cut may have damaged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What each start of the machine has another of.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// The file that says in which start of the machine a folder's files were made.
const BOOT_FILE: &str = "boot";
/// What the names of folders on their way out begin with.
const REMOVED: &str = "removed-";

/// Builds that run.
const BUILDING: &str = "builds/work";
/// What is made anew at will, and therefore never synced.
const UNSYNCED: [&str; 4] = ["builds/layers", "instances/layers", "toolchains", "runs/programs"];

/// Removes what earlier processes left in the data folder, before anybody uses it.
pub(crate) fn remove(data: &Path) {
    set_aside(data, BUILDING);
    set_aside_damaged(data, &UNSYNCED, boot().as_deref());
    remove_in_background(data);
}

fn boot() -> Option<String> {
    fs::read_to_string(BOOT_ID).ok()
}

/// Takes their names from folders that were made before the machine last started: a power cut may have left the names of
/// files that were never synced, and taken their bytes.
fn set_aside_damaged(folder: &Path, names: &[&str], boot: Option<&str>) {
    let marker = folder.join(BOOT_FILE);
    if boot.is_some() && fs::read_to_string(&marker).ok().as_deref() == boot {
        return;
    }
    names.iter().for_each(|name| set_aside(folder, name));
    if let Err(error) = fs::write(&marker, boot.unwrap_or_default()) {
        tracing::warn!(path = %marker.display(), error = %error, "cannot note when files were made");
    }
}

/// Moved aside first and removed in the background: whatever there is, the start does not wait for it.
fn set_aside(folder: &Path, name: &str) {
    let aside = folder.join(format!("{REMOVED}{}-{}", name.replace('/', "-"), std::process::id()));
    match fs::rename(folder.join(name), &aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %aside.display(), error = %error, "cannot set aside what an earlier process left");
        }
        _ => {}
    }
}

fn remove_in_background(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_leftover =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(REMOVED));
    let leftovers: Vec<_> = entries.filter(is_leftover).collect();
    tokio::task::spawn_blocking(move || {
        for path in leftovers {
            if let Err(error) = skylift_sandbox::remove_tree(&path) {
                tracing::warn!(path = %path.display(), error = %error, "cannot remove what an earlier process left");
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_synced_is_not_trusted_after_the_machine_was_started_again() {
        let home = tempfile::tempdir().unwrap();
        let layer = home.path().join("builds/layers/app");
        let make = || fs::create_dir_all(&layer).unwrap();
        let look = |boot: Option<&str>| {
            set_aside_damaged(home.path(), &["builds/layers"], boot);
            layer.exists()
        };
        make();
        assert!(!look(Some("one")), "nobody knows when it was made");
        make();
        assert!(look(Some("one")) && look(Some("one")));
        fs::remove_dir_all(home.path().join(format!("removed-builds-layers-{}", std::process::id()))).unwrap();
        assert!(!look(Some("two")));
        make();
        fs::remove_dir_all(home.path().join(format!("removed-builds-layers-{}", std::process::id()))).unwrap();
        assert!(!look(None), "nor does anybody now");
    }
}
