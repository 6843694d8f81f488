use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

const MOST: Most = Most { files: 3, bytes: 100 };

fn open(path: &std::path::Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

fn file(path: &str, bytes: &[u8]) -> File {
    File { path: path.parse().unwrap(), bytes: bytes.to_vec() }
}

#[test]
fn what_is_put_there_is_found_and_belongs_to_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let files = [file("a/b/c.txt", b"deep"), file("main.py", b"flat")];
    put(open(folder.path()).as_fd(), &files, 12_345, false).unwrap();
    let mut found = take(open(folder.path()).as_fd(), MOST, |_| true).unwrap();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(found, files);
    if rustix::process::geteuid().is_root() {
        for path in ["a", "a/b", "a/b/c.txt", "main.py"] {
            assert_eq!(folder.path().join(path).metadata().unwrap().uid(), 12_345, "{path}");
        }
    }
}

#[test]
fn no_link_is_followed_neither_to_a_file_nor_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.txt"), "secret").unwrap();
    std::fs::write(folder.path().join("own.txt"), "own").unwrap();
    symlink(outside.path().join("secret.txt"), folder.path().join("link.txt")).unwrap();
    symlink(outside.path(), folder.path().join("way")).unwrap();
    rustix::fs::mknodat(open(folder.path()), "pipe.txt", FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    if rustix::process::geteuid().is_root() {
        let null = rustix::fs::makedev(1, 3);
        let made = rustix::fs::mknodat(open(folder.path()), "null.txt", FileType::CharacterDevice, 0o644.into(), null);
        made.unwrap();
    }
    let held = open(folder.path());
    assert_eq!(take(held.as_fd(), MOST, |_| true).unwrap(), [file("own.txt", b"own")]);
    assert_eq!(read(held.as_fd(), &"null.txt".parse().unwrap(), 100).unwrap(), None);
    for path in ["link.txt", "way/secret.txt"] {
        assert_eq!(read(held.as_fd(), &path.parse().unwrap(), 100).unwrap(), None, "{path}");
    }
    // Control: without the resolution that keeps below, the link leads there.
    let followed = rustix::fs::openat(&held, "way/secret.txt", OFlags::RDONLY, Mode::empty());
    assert_eq!(std::io::read_to_string(OpenFile::from(followed.unwrap())).unwrap(), "secret");
    // Nor is anything put behind a link.
    assert!(put(held.as_fd(), &[file("way/new.txt", b"")], 1, false).is_err());
    assert!(put(held.as_fd(), &[file("link.txt", b"")], 1, false).is_err());
    assert!(!outside.path().join("new.txt").exists());
}

#[test]
fn what_is_too_much_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1", "2", "3"] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    let held = open(folder.path());
    assert_eq!(take(held.as_fd(), MOST, |_| true).unwrap().len(), 3);
    std::fs::write(folder.path().join("4"), "x").unwrap();
    assert!(matches!(take(held.as_fd(), MOST, |_| true), Err(TakeError::Files(3))));
    assert_eq!(take(held.as_fd(), MOST, |path| path.as_str() == "4").unwrap().len(), 1);
    std::fs::write(folder.path().join("4"), [b'x'; 101]).unwrap();
    assert!(matches!(take(held.as_fd(), MOST, |path| path.as_str() == "4"), Err(TakeError::Bytes(100))));
    // One that says it is huge takes no memory.
    OpenFile::create(folder.path().join("4")).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(take(held.as_fd(), MOST, |path| path.as_str() == "4"), Err(TakeError::Bytes(100))));
}
