//! Archives as people make them.

use skylift_build::frames::{IntakeLimits, RefusalCode};
use skylift_model::FileMode;

use super::received::{names, refused, unpacked, unpacked_within};
use super::tarball::{Header, Tarball, gzip, zstd};
use super::zipball::{Entry, Zipball};

fn project() -> Tarball {
    Tarball::default().folder("./").file("./index.html", "<p>").folder("./src/").file("./src/a.js", "1")
}

#[test]
fn tar_gzip_zstd_and_zip_give_the_same_files() {
    let tar = project().end();
    let zip = Zipball::of([
        Entry::deflated("index.html", b"<p>"),
        Entry::stored("src/", b"").with(|entry| entry.mode = 0o040_755),
        Entry::stored("src/a.js", b"1"),
    ]);
    let expected = unpacked(&tar).unwrap();
    assert_eq!(expected.1.keys().collect::<Vec<_>>(), ["index.html", "src/a.js"]);
    for archive in [gzip(&tar), zstd(&tar), zip.bytes()] {
        assert_eq!(unpacked(&archive).unwrap(), expected);
    }
}

#[test]
fn a_single_folder_at_the_top_is_kept() {
    assert_eq!(names(&Tarball::default().folder("proj-main/").file("proj-main/a", "").end()), ["proj-main/a"]);
}

#[test]
fn the_owner_s_execute_bit_is_kept_and_every_other_bit_dropped() {
    let mut header = Header::new(b"run", b'0', 0);
    header.put(100, b"0007711\0");
    let tar = Tarball::default().header(header).file("plain", "").end();
    let (_, files) = unpacked(&tar).unwrap();
    assert_eq!(files["run"].0, FileMode::Executable);
    assert_eq!(files["plain"].0, FileMode::File);
    let zip = Zipball::of([Entry::stored("run", b"").with(|entry| entry.mode = 0o106_755)]).bytes();
    assert_eq!(unpacked(&zip).unwrap().1["run"].0, FileMode::Executable);
}

#[test]
fn links_inside_stay_links() {
    let tar = Tarball::default().file("a", "x").link(b'2', "b/c", "../a").end();
    assert_eq!(unpacked(&tar).unwrap().1["b/c"], (FileMode::Symlink, b"../a".to_vec()));
    let link = Entry::stored("b/c", b"../a").with(|entry| entry.mode = 0o120_777);
    assert_eq!(unpacked(&Zipball::of([link]).bytes()).unwrap().1["b/c"], (FileMode::Symlink, b"../a".to_vec()));
}

#[test]
fn a_hard_link_to_an_earlier_file_is_that_file_again() {
    let tar = Tarball::default().file("a", "same").link(b'1', "./b", "./a").link(b'1', "c", "b").end();
    let (received, files) = unpacked(&tar).unwrap();
    assert_eq!(files["b"], files["a"]);
    assert_eq!(files["c"], files["a"]);
    assert_eq!(received.manifest.bytes(), 12);
}

#[test]
fn long_names_arrive_whole_by_every_way_of_writing_them() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(130));
    let gnu = Tarball::default().entry("././@LongLink", b'L', format!("{long}\0").as_bytes()).file("cut", "x").end();
    let pax = Tarball::default().pax(&[("path", &long), ("mtime", "1099511627776.5")]).file("cut", "x").end();
    let mut split = Header::new(&[b'f'; 100], b'0', 0);
    split.put(345, &[b'd'; 120]);
    assert_eq!(names(&gnu), [long.as_str()]);
    assert_eq!(names(&pax), [long]);
    assert_eq!(names(&Tarball::default().header(split).end()), [format!("{}/{}", "d".repeat(120), "f".repeat(100))]);
}

#[test]
fn what_git_archive_writes_before_the_files_is_ignored() {
    let tar = Tarball::default().extended(b'g', &[("comment", "0123456789abcdef")]).file("a", "").end();
    assert_eq!(names(&tar), ["a"]);
}

#[test]
fn secrets_and_leftovers_are_skipped_and_counted() {
    let mut tar = Tarball::default().file("kept.txt", "x");
    let skipped = [
        ".env",
        ".env.local",
        "a/.envrc",
        ".git/config",
        "a/.git/HEAD",
        "node_modules/x/index.js",
        "a/node_modules/y",
        "__MACOSX/._kept.txt",
        "._kept.txt",
        ".DS_Store",
    ];
    for name in skipped {
        tar = tar.file(name, "secret");
    }
    let (received, files) = unpacked(&tar.end()).unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["kept.txt"]);
    assert_eq!(received.skipped, skipped.len() as u64);
    let zip = Zipball::of(skipped.iter().chain([&"kept.txt"]).map(|name| Entry::deflated(name, b"secret")));
    let (received, files) = unpacked(&zip.bytes()).unwrap();
    assert_eq!((received.skipped, files.len()), (skipped.len() as u64, 1));
}

#[test]
fn a_skipped_name_does_not_excuse_where_it_leads() {
    for name in ["node_modules/../../x", ".git/../../x", "/.env", "../.git/x"] {
        assert_eq!(refused(&Tarball::default().file(name, "").end()).code, RefusalCode::InvalidArchive, "{name}");
    }
}

#[test]
fn an_archive_of_several_gzip_members_is_one_archive() {
    let tar = project().end();
    let (first, second) = tar.split_at(700);
    assert_eq!(names(&[gzip(first), gzip(second)].concat()), ["index.html", "src/a.js"]);
}

#[test]
fn an_archive_within_an_archive_is_a_plain_file() {
    let inner = gzip(&project().end());
    let tar = Tarball::default().entry("inner.tar.gz", b'0', &inner).end();
    assert_eq!(unpacked(&tar).unwrap().1["inner.tar.gz"].1, inner);
}

#[test]
fn kinds_that_are_not_taken_are_named_with_those_that_are() {
    for (start, name) in
        [(&b"\xfd7zXZ\0\0\x04"[..], "xz"), (b"BZh91AY", "bzip2"), (b"Rar!\x1a", "RAR"), (b"7z\xbc\xaf\x27", "7z")]
    {
        let refusal = refused(start);
        assert!(refusal.message.contains(name) && refusal.hint.contains(".tar.zst"), "{refusal:?}");
    }
    assert!(refused(b"").message.contains("empty"));
    assert!(refused(b"<html>").message.contains("no archive"));
    assert!(refused(&gzip(b"just text")).message.contains("too early"));
}

#[test]
fn an_archive_without_files_is_refused() {
    assert!(refused(&Tarball::default().folder("a/").file(".env", "x").end()).message.contains("no files"));
    assert!(refused(&Zipball::default().bytes()).message.contains("no files"));
}

#[test]
fn limits_are_named_before_anything_is_read_past_them() {
    let limits = IntakeLimits { files_max: 2, bytes_max: 10, file_bytes_max: 6 };
    let refusal = |tar: Tarball| unpacked_within(&tar.end(), &limits).unwrap_err().as_refusal().unwrap();
    let files = refusal(Tarball::default().file("a", "").file("b", "").file("c", ""));
    let bytes = refusal(Tarball::default().file("a", "12345").file("b", "123456"));
    let one = refusal(Tarball::default().file("a", "1234567"));
    for (refusal, text) in [(files, "more than 2 files"), (bytes, "more than 10 bytes"), (one, "a file may have 6")] {
        assert_eq!(refusal.code, RefusalCode::TooLarge);
        assert!(refusal.message.contains(text), "{refusal}");
    }
}
