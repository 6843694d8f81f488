use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::{Folder, walk};
use super::*;

fn digest_of(folder: &Folder, path: &str) -> Digest {
    folder.files().iter().find(|file| file.path.as_str() == path).unwrap().sha256
}

/// The time when files written just before are no longer racy.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(10)
}

#[test]
fn files_links_and_modes_are_as_git_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("run"), "#!").unwrap();
    fs::set_permissions(folder.path().join("run"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    symlink("run", folder.path().join("link")).unwrap();

    let read = Folder::read(folder.path(), None, later(), &()).unwrap();

    let listed: Vec<_> = read.files().iter().map(|f| (f.path.as_str(), f.mode.as_str(), f.size, f.sha256)).collect();
    assert_eq!(
        listed,
        [
            ("empty", "100644", 0, Digest::of(b"")),
            ("link", "120000", 3, Digest::of(b"run")),
            ("run", "100755", 2, Digest::of(b"#!")),
        ]
    );
}

#[test]
fn an_unchanged_file_is_not_read_again_and_a_changed_one_is() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = folder.path().join("a");
    fs::write(&file, "one").unwrap();
    let read = || Folder::read(folder.path(), Some(cache.path()), later(), &()).unwrap();
    read();

    // A digest that no reading could give, in the place of the remembered one: who does not read, believes it.
    let remembered = fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path();
    let forged = Digest::of(b"forged");
    let text = fs::read_to_string(&remembered).unwrap().replace(&Digest::of(b"one").to_string(), &forged.to_string());
    fs::write(&remembered, text).unwrap();
    assert_eq!(digest_of(&read(), "a"), forged);

    fs::write(&file, "two").unwrap();
    assert_eq!(digest_of(&read(), "a"), Digest::of(b"two"));
}

#[test]
fn a_file_hashed_right_after_it_was_written_is_read_again() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("a"), "one").unwrap();
    let read = |now| digest_of(&Folder::read(folder.path(), Some(cache.path()), now, &()).unwrap(), "a");
    read(SystemTime::now());

    let remembered = fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&remembered).unwrap();
    fs::write(&remembered, text.replace(&Digest::of(b"one").to_string(), &Digest::of(b"forged").to_string())).unwrap();

    assert_eq!(read(later()), Digest::of(b"one"));
}

#[test]
fn an_unreadable_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "x").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o000)).unwrap();
    if File::open(&file).is_ok() {
        let _ = writeln!(io::stderr(), "skipped: this user may read every file");
        return;
    }
    let error = Folder::read(folder.path(), None, later(), &()).unwrap_err();
    assert!(matches!(&error, FolderError::Read { path, .. } if path.ends_with("secret")), "{error}");
}

#[test]
fn a_file_that_vanishes_between_listing_and_reading_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("here"), "x").unwrap();
    let walked = walk(folder.path()).unwrap();
    fs::remove_file(folder.path().join("here")).unwrap();
    let error = Folder::hash(walked, None, later(), &()).unwrap_err();
    assert!(matches!(&error, FolderError::Read { path, .. } if path.ends_with("here")), "{error}");
}

#[test]
fn progress_counts_every_file_once() {
    #[derive(Default)]
    struct Count(AtomicU64, AtomicU64);
    impl HashProgress for Count {
        fn files(&self, count: u64) {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
        fn file_done(&self) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for number in 0..300 {
        fs::write(folder.path().join(number.to_string()), "x").unwrap();
    }
    let count = Count::default();
    Folder::read(folder.path(), None, later(), &count).unwrap();
    assert_eq!((count.0.into_inner(), count.1.into_inner()), (300, 300));
}
