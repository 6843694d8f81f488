use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

const MOST: Most = Most { files: 3, bytes: 100 };

fn open(path: &std::path::Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

fn all(files: Vec<File>) -> Left {
    Left { files, is_all: true }
}

fn file(path: &str, bytes: &[u8]) -> File {
    File { path: path.parse().unwrap(), bytes: bytes.to_vec() }
}

#[test]
fn what_is_put_there_is_found_and_belongs_to_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let files = [file("a/b/c.txt", b"deep"), file("main.py", b"flat")];
    put(open(folder.path()).as_fd(), &files, 12_345, false).unwrap();
    assert_eq!(take(open(folder.path()).as_fd(), MOST, |_| true).unwrap(), all(files.to_vec()));
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
    assert_eq!(take(held.as_fd(), MOST, |_| true).unwrap(), all(vec![file("own.txt", b"own")]));
    for path in ["null.txt", "link.txt", "way/secret.txt"] {
        assert!(super::open(held.as_fd(), &path.parse().unwrap()).unwrap().is_none(), "{path}");
    }
    // Control: without the resolution that keeps below, the link leads there.
    let followed = rustix::fs::openat(&held, "way/secret.txt", OFlags::RDONLY, Mode::empty());
    assert_eq!(std::io::read_to_string(OpenFile::from(followed.unwrap())).unwrap(), "secret");
    // Nor is anything put behind a link.
    assert!(put(held.as_fd(), &[file("way/new.txt", b"")], 1, false).is_err());
    assert!(put(held.as_fd(), &[file("link.txt", b"")], 1, false).is_err());
    assert!(!outside.path().join("new.txt").exists());
}

/// The names of what is taken, and whether that is all.
fn taken(folder: &OwnedFd, most: Most) -> (Vec<String>, bool) {
    let left = take(folder.as_fd(), most, |_| true).unwrap();
    (left.files.iter().map(|file| file.path.as_str().to_owned()).collect(), left.is_all)
}

#[test]
fn of_too_much_what_fits_is_taken_by_name_and_that_there_was_more_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["3", "2", "1"] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    let held = open(folder.path());
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(taken(&held, MOST), (names(&["1", "2", "3"]), true));
    std::fs::write(folder.path().join("0"), "x").unwrap();
    assert_eq!(taken(&held, MOST), (names(&["0", "1", "2"]), false));
    // What does not fit leaves room for what does; nothing is cut.
    std::fs::write(folder.path().join("1"), [b'x'; 100]).unwrap();
    assert_eq!(taken(&held, MOST), (names(&["0", "2", "3"]), false));
    std::fs::write(folder.path().join("1"), [b'x'; 97]).unwrap();
    assert_eq!(taken(&held, Most { files: 9, ..MOST }), (names(&["0", "1", "2", "3"]), true));
    // One that says it is huge takes no memory.
    OpenFile::create(folder.path().join("1")).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(taken(&held, MOST), (names(&["0", "2", "3"]), false));
    // What nobody wants is not missed.
    let left = take(held.as_fd(), MOST, |path| path.as_str() != "1").unwrap();
    assert_eq!((left.files.len(), left.is_all), (3, true));
}

#[test]
fn folders_are_looked_at_by_name_until_there_are_too_many_names_and_not_too_deep() {
    let folder = tempfile::tempdir().unwrap();
    for (below, count) in [("b", NAMES_MAX - 3), ("a", 1), ("c", 0)] {
        std::fs::create_dir(folder.path().join(below)).unwrap();
        for number in 0..count {
            std::fs::write(folder.path().join(below).join(number.to_string()), "").unwrap();
        }
    }
    let held = open(folder.path());
    let few = |path: &FilePath| path.as_str().ends_with("/0");
    let taken = |held: &OwnedFd| {
        let left = take(held.as_fd(), MOST, few).unwrap();
        (left.files.iter().map(|file| file.path.as_str().to_owned()).collect::<Vec<_>>(), left.is_all)
    };
    // Three folders, one file and all but four of the names: one too many for the second folder.
    assert_eq!(taken(&held), (vec!["a/0".to_owned()], false));
    std::fs::remove_file(folder.path().join("b/1")).unwrap();
    assert_eq!(taken(&held), (vec!["a/0".to_owned(), "b/0".to_owned()], false), "the last is not looked at");
    std::fs::remove_file(folder.path().join("b/2")).unwrap();
    assert_eq!(taken(&held), (vec!["a/0".to_owned(), "b/0".to_owned()], true));
    let deep = folder.path().join("a").join(["d"; DEPTH_MAX].join("/"));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("0"), "").unwrap();
    std::fs::remove_dir_all(folder.path().join("b")).unwrap();
    assert_eq!(taken(&held), (vec!["a/0".to_owned()], false));
}
