//! Tar archives that try to get out, or that say two things at once.

use skylift_build::frames::RefusalCode;

use super::received::{refused, unpacked};
use super::tarball::{Header, Tarball, gzip, zstd};

fn check(tar: Vec<u8>, expected: &str) {
    let refusal = refused(&tar);
    assert!(matches!(refusal.code, RefusalCode::InvalidArchive | RefusalCode::InvalidTree), "{refusal:?}");
    assert!(refusal.message.contains(expected), "{:?} does not say {expected:?}", refusal.message);
}

#[test]
fn names_that_lead_elsewhere_are_refused_with_their_entry() {
    let cases = [
        ("../x", "`..`"),
        ("/etc/x", "absolute"),
        ("a/../../x", "`..`"),
        ("a/../x", "`..`"),
        ("C:\\x", "absolute"),
        ("C:x", "absolute"),
        ("a\\..\\x", "backslash"),
        ("..", "`..`"),
        ("a/./b", "`.`"),
        ("a//b", "empty"),
        (".//a", "absolute"),
        ("", "empty"),
        (".GIT/config", "Git"),
        ("git~1/config", "Git"),
        ("a\nb", "control"),
    ];
    for (name, expected) in cases {
        check(Tarball::default().file("fine", "").file(name, "x").end(), expected);
        assert!(refused(&Tarball::default().file("fine", "").file(name, "x").end()).message.contains("2"), "{name}");
    }
    check(Tarball::default().pax(&[("path", "a\0b")]).file("x", "").end(), "control");
    check(Tarball::default().pax(&[("path", &"n".repeat(4096))]).file("x", "").end(), "longer than");
    check(Tarball::default().pax(&[("path", &"n/".repeat(100))]).file("x", "").end(), "");
    check(Tarball::default().header(Header::new(b"\xff\xfe", b'0', 0)).end(), "UTF-8");
    check(Tarball::default().file(".", "x").end(), "root");
}

#[test]
fn without_the_policy_a_name_with_dots_lands_outside() {
    let root = tempfile::tempdir().unwrap();
    let inside = root.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let tar = Tarball::default().file("../x", "canary").end();
    for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut file = std::fs::File::create(inside.join(entry.path().unwrap())).unwrap();
        std::io::copy(&mut entry, &mut file).unwrap();
    }
    assert_eq!(std::fs::read_to_string(root.path().join("x")).unwrap(), "canary");
    check(tar, "`..`");
}

#[test]
fn names_that_some_systems_take_for_one_are_refused() {
    check(Tarball::default().file("a", "").file("A", "").end(), "same name on some systems");
    check(Tarball::default().file("\u{e9}", "").file("e\u{301}", "").end(), "same name on some systems");
    check(Tarball::default().file("a", "1").file("a", "2").end(), "same name");
    check(Tarball::default().file("a", "1").file("./a", "2").end(), "same name");
}

#[test]
fn nothing_goes_through_a_link_or_a_file() {
    check(Tarball::default().link(b'2', "d", "e").file("d/x", "").end(), "below the symbolic link `d`");
    check(Tarball::default().file("d/x", "").link(b'2', "d", "e").end(), "same name");
    check(Tarball::default().link(b'2', "d", "e").folder("d").end(), "no folder");
    check(Tarball::default().folder("d/").link(b'2', "d", "e").end(), "same name");
    check(Tarball::default().file("d", "").folder("d/").end(), "no folder");
    check(Tarball::default().file("d", "").file("d/x", "").end(), "below the file `d`");
    check(Tarball::default().link(b'2', "D", "e").file("d/x", "").end(), "lies below it");
}

#[test]
fn without_the_policy_a_file_goes_through_a_link() {
    let root = tempfile::tempdir().unwrap();
    let (inside, outside) = (root.path().join("inside"), root.path().join("outside"));
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::create_dir_all(&outside).unwrap();
    std::os::unix::fs::symlink("../outside", inside.join("d")).unwrap();
    std::fs::write(inside.join("d/x"), "canary").unwrap();
    assert!(outside.join("x").exists());
    check(Tarball::default().link(b'2', "d", "../outside").file("d/x", "canary").end(), "outside");
}

#[test]
fn links_that_lead_outside_are_refused() {
    check(Tarball::default().link(b'2', "a", "/etc/passwd").end(), "absolute");
    check(Tarball::default().link(b'2', "a/b", "../../x").end(), "outside");
    check(Tarball::default().link(b'2', "a", "").end(), "empty");
    check(Tarball::default().link(b'2', "a/x", "..").link(b'2', "a/y", "x/../secret").end(), "`..` after a name");
    check(Tarball::default().pax(&[("linkpath", "/etc/passwd")]).link(b'2', "a", "b").end(), "absolute");
}

#[test]
fn hard_links_reach_earlier_files_alone() {
    check(Tarball::default().link(b'1', "a", "/etc/passwd").end(), "absolute");
    check(Tarball::default().link(b'1', "a", "../x").end(), "`..`");
    check(Tarball::default().link(b'1', "a", "later").file("later", "").end(), "no file before it");
    check(Tarball::default().link(b'2', "l", "x").link(b'1', "a", "l").end(), "no file before it");
    check(Tarball::default().file(".env", "secret").link(b'1', "a", ".env").end(), "left out");
}

#[test]
fn what_is_no_file_is_refused_by_its_kind() {
    for (kind, expected) in [
        (b'3', "character device"),
        (b'4', "block device"),
        (b'6', "named pipe"),
        (b'S', "sparse"),
        (b'M', "part of a file"),
        (b'D', "backup"),
        (b'V', "backup"),
        (b'A', "unknown kind"),
        (0x80, "unknown kind"),
    ] {
        check(Tarball::default().entry("x", kind, b"").end(), expected);
    }
    check(
        Tarball::default().pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")]).file("x", "").end(),
        "sparse",
    );
}

#[test]
fn owners_times_and_attributes_are_dropped() {
    let mut odd = Header::new(b"a", b'0', 0);
    odd.put(108, &[0xff; 8]).put(116, &[0xff; 8]).put(136, b"\x80\0\0\0\0\0\x01\0\0\0\0\0");
    let records = [
        ("SCHILY.xattr.security.capability", "x"),
        ("SCHILY.acl.access", "user::rwx"),
        ("uid", "-1"),
        ("mtime", "1e99"),
    ];
    let (received, _) = unpacked(&Tarball::default().pax(&records).header(odd).end()).unwrap();
    assert_eq!(received.manifest.files().len(), 1);
}

#[test]
fn two_answers_to_one_question_are_refused() {
    let file = |tar: Tarball| tar.file("x", "12345");
    check(file(Tarball::default().pax(&[("size", "4")])).end(), "two sizes");
    check(file(Tarball::default().pax(&[("size", "999999")])).end(), "two sizes");
    check(file(Tarball::default().pax(&[("path", "a"), ("path", "b")])).end(), "twice");
    check(file(Tarball::default().pax(&[("path", "")])).end(), "empty");
    check(file(Tarball::default().pax(&[("path", "a")]).pax(&[("path", "b")])).end(), "two extended headers");
    check(file(Tarball::default().pax(&[("path", "a")]).entry("", b'L', b"b\0")).end(), "two names");
    check(file(Tarball::default().extended(b'g', &[("path", "a")])).end(), "global");
    check(file(Tarball::default().extended(b'g', &[("size", "1")])).end(), "global");
    check(Tarball::default().entry("d/", b'5', b"bytes").end(), "no file, yet has bytes");
    check(Tarball::default().entry("l", b'2', b"bytes").end(), "no file, yet has bytes");
    check(Tarball::default().file("x/", "bytes").end(), "ends with `/`");
    let mut old = Header::new(b"x", b'0', 0);
    old.put(257, b"ustar  \0").put(345, b"elsewhere");
    check(Tarball::default().header(old).end(), "two ways");
}

#[test]
fn damaged_long_names_are_refused() {
    check(Tarball::default().entry("", b'L', b"a\0b\0").file("x", "").end(), "NUL");
    check(Tarball::default().entry("", b'L', b"a\0").end(), "belongs to no entry");
    check(Tarball::default().pax(&[("path", "a")]).end(), "belongs to no entry");
    check(Tarball::default().entry("", b'L', b"a\0").entry("", b'L', b"b\0").file("x", "").end(), "two extended");
    check(Tarball::default().header(Header::new(b"", b'L', 1 << 40)).end(), "1 MiB");
    check(Tarball::default().entry("", b'x', b"not a record").file("x", "").end(), "malformed");
}

#[test]
fn what_follows_the_end_is_refused() {
    let one = Tarball::default().file("a", "").end();
    let two = Tarball::default().file("b", "").end();
    check([one.clone(), two.clone()].concat(), "something follows");
    check(gzip(&[one.clone(), two.clone()].concat()), "something follows");
    check([gzip(&one), gzip(&two)].concat(), "something follows");
    check([zstd(&one), zstd(&two)].concat(), "something follows");
    check([gzip(&one), b"garbage".to_vec()].concat(), "");
    check([zstd(&one), b"garbage".to_vec()].concat(), "");
    assert!(unpacked(&[one, vec![0; 9216]].concat()).is_ok(), "GNU tar fills up to 10 KiB");
}

#[test]
fn every_cut_of_an_archive_is_noticed() {
    let tar = Tarball::default().file("a", &"x".repeat(700)).pax(&[("path", "b")]).file("c", "y").end();
    let last = tar.len() - 512;
    for (archive, step) in [(tar.clone(), 97), (gzip(&tar), 1), (zstd(&tar), 1)] {
        let whole = if archive == tar { last } else { archive.len() };
        for length in (0..whole).step_by(step) {
            let refusal = refused(&archive[..length]);
            assert_eq!(refusal.code, RefusalCode::InvalidArchive, "cut at {length}");
        }
    }
    check(tar[..600].to_vec(), "ends too early, in entry 1 at byte 600");
}

#[test]
fn a_flipped_byte_in_a_header_or_a_packed_archive_is_noticed() {
    let tar = Tarball::default().file("a", "x").end();
    for at in (0..512).step_by(7) {
        let mut bad = tar.clone();
        bad[at] ^= 0x10;
        if bad[148..156] == tar[148..156] {
            refused(&bad);
        }
    }
    let packed = gzip(&tar);
    let expected = unpacked(&tar).unwrap();
    for at in 10..packed.len() {
        let mut bad = packed.clone();
        bad[at] ^= 0x01;
        // Some flips unpack to the same bytes: zeros copied from another place.
        if let Ok(result) = unpacked(&bad) {
            assert_eq!(result, expected, "byte {at}");
        }
    }
}
