//! Zip archives that try to get out, or that say two things at once.

use super::received::{names, refused, unpacked};
use super::zipball::{Entry, Zipball};

fn check(zip: &Zipball, expected: &str) {
    let refusal = refused(&zip.bytes());
    assert!(refusal.message.contains(expected), "{:?} does not say {expected:?}", refusal.message);
}

fn check_entry(change: impl FnOnce(&mut Entry), expected: &str) {
    check(&Zipball::of([Entry::deflated("x", b"some bytes").with(change)]), expected);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["../x", "/etc/x", "a/../../x", "C:\\x", "a\\b", "..", "", ".GIT/x", "a\0b"] {
        let refusal = refused(&Zipball::of([Entry::stored(name, b"")]).bytes());
        assert!(refusal.message.starts_with("entry 1"), "{name}: {refusal}");
    }
    check_entry(|entry| entry.name = b"\xff".to_vec(), "UTF-8");
}

#[test]
fn duplicates_and_clashes_are_refused() {
    check(&Zipball::of([Entry::stored("a", b"1"), Entry::stored("a", b"2")]), "same name");
    check(&Zipball::of([Entry::stored("a", b"1"), Entry::stored("A", b"2")]), "same name on some");
    check(&Zipball::of([Entry::stored("a", b"1"), Entry::stored("a/b", b"2")]), "below the file");
}

#[test]
fn links_and_special_files_follow_the_same_policy_as_in_tar() {
    let link = |target: &[u8]| Zipball::of([Entry::stored("d", target).with(|entry| entry.mode = 0o120_777)]);
    check(&link(b"/etc/passwd"), "absolute");
    check(&link(b"../x"), "outside");
    check(&link(&[b'x'; 2000]), "longer");
    check(
        &Zipball { entries: vec![link(b"e").entries[0].clone(), Entry::stored("d/x", b"")], ..Zipball::default() },
        "below",
    );
    for (mode, expected) in [(0o010_644, "pipe"), (0o020_644, "device"), (0o060_644, "device"), (0o140_644, "socket")] {
        check_entry(|entry| entry.mode = mode, expected);
    }
    check_entry(|entry| entry.mode = 0o040_755, "folder");
    check(&Zipball::of([Entry::stored("d/", b"bytes").with(|entry| entry.mode = 0)]), "yet has bytes");
}

#[test]
fn a_mode_counts_only_where_a_unix_wrote_it() {
    let zip = Zipball::of([Entry::stored("x", b"/etc/passwd").with(|entry| {
        entry.mode = 0o120_777;
        entry.made_by = 0;
    })]);
    assert_eq!(unpacked(&zip.bytes()).unwrap().1["x"].0, skylift_model::FileMode::File);
}

#[test]
fn entries_that_overlap_or_hide_something_are_refused() {
    let two = || vec![Entry::deflated("a", b"same"), Entry::deflated("b", b"same")];
    check(&Zipball { entries: two(), overlap: true, ..Zipball::default() }, "overlap");
    check(&Zipball { entries: two(), between: b"PK\x03\x04hidden".to_vec(), ..Zipball::default() }, "between");
    let mut before = Zipball::of(two());
    before.before = Entry::stored("first", b"").name;
    check(&before, "no archive of a known kind");
    let whole = Zipball::of(two()).bytes();
    let appended = [whole.clone(), whole].concat();
    assert!(refused(&appended).message.contains("not where it should be"));
}

#[test]
fn the_list_and_the_headers_must_agree() {
    check_entry(|entry| entry.local_name = Some(b"y".to_vec()), "disagree");
    check_entry(|entry| entry.crc ^= 1, "checksum");
    check_entry(|entry| entry.size += 1, "too early");
    check_entry(|entry| entry.size -= 1, "not as many bytes");
    check_entry(|entry| entry.packed.push(0), "follows its packed bytes");
    check_entry(|entry| entry.packed[0] = 0xff, "damaged");
    check(&Zipball { count: Some(2), ..Zipball::of([Entry::stored("a", b"")]) }, "ends before entry 2");
    check(
        &Zipball { count: Some(1), ..Zipball::of([Entry::stored("a", b""), Entry::stored("b", b"")]) },
        "more entries",
    );
}

#[test]
fn a_second_name_for_some_readers_is_refused() {
    let mut crc = flate2::Crc::new();
    crc.update(b"x");
    let field = [&[0x75, 0x70, 12, 0, 1][..], &crc.sum().to_le_bytes(), b"other.x"].concat();
    check_entry(|entry| entry.extra = field.clone(), "two names");
    check_entry(|entry| entry.extra = vec![0x75, 0x70, 200, 0, 1], "malformed");
}

#[test]
fn encrypted_and_unusual_entries_are_refused() {
    check_entry(|entry| entry.flags = 1, "encrypted");
    check_entry(|entry| entry.method = 14, "method 14");
    check_entry(|entry| entry.method = 99, "method 99");
}

#[test]
fn a_comment_is_read_over_unless_it_is_a_second_ending() {
    let plain = Zipball { comment: b"0123456789abcdef".to_vec(), ..Zipball::of([Entry::stored("a", b"")]) };
    assert_eq!(names(&plain.bytes()), ["a"]);
    let ending = Zipball::default().bytes();
    check(&Zipball { comment: ending, ..Zipball::of([Entry::stored("a", b"")]) }, "two endings");
}

#[test]
fn every_cut_of_a_zip_is_noticed() {
    let zip = Zipball::of([Entry::deflated("a", b"some bytes"), Entry::stored("b", b"more")]).bytes();
    for length in 0..zip.len() {
        refused(&zip[..length]);
    }
}
