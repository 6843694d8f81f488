//! The stream of frames itself, with the other end lying.

use skylift_build::frames::{FrameWriter, IntakeError, IntakeLimits, Refusal, RefusalCode};
use skylift_model::FileMode;

use super::received::received;

fn stream(write: impl FnOnce(FrameWriter<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(FrameWriter::new(&mut bytes).unwrap());
    bytes
}

fn good() -> Vec<u8> {
    stream(|mut frames| {
        frames.note(b"a note").unwrap();
        frames.whole(&"a".parse().unwrap(), FileMode::File, b"bytes").unwrap();
        frames.whole(&"b".parse().unwrap(), FileMode::Symlink, b"a").unwrap();
        frames.same(&"c".parse().unwrap(), 0, 5).unwrap();
        frames.finish(7).unwrap();
    })
}

fn check(bytes: &[u8]) -> IntakeError {
    received(bytes, &IntakeLimits::default()).unwrap_err()
}

/// A stream with one entry of these raw fields, and a right end.
fn forged(path: &str, mode: u8, bytes: &[u8]) -> Vec<u8> {
    let mut stream = b"SKYFRM\x00\x01f".to_vec();
    stream.push(mode);
    stream.extend(u16::try_from(path.len()).unwrap().to_be_bytes());
    stream.extend(path.as_bytes());
    stream.extend((bytes.len() as u64).to_be_bytes());
    stream.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    stream.extend(bytes);
    stream.push(b'e');
    for number in [1, bytes.len() as u64, 0] {
        stream.extend(number.to_be_bytes());
    }
    stream
}

#[test]
fn what_was_written_is_received() {
    let (received, files) = received(&good(), &IntakeLimits::default()).unwrap();
    assert_eq!(files["a"], (FileMode::File, b"bytes".to_vec()));
    assert_eq!(files["b"], (FileMode::Symlink, b"a".to_vec()));
    assert_eq!(files["c"], files["a"]);
    assert_eq!((received.skipped, received.note.as_deref()), (7, Some(&b"a note"[..])));
}

#[test]
fn a_file_of_many_chunks_arrives_whole() {
    let bytes: Vec<u8> = (0..3_000_001_u32).map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let stream = stream(|mut frames| {
        frames.whole(&"large".parse().unwrap(), FileMode::Executable, &bytes).unwrap();
        frames.finish(0).unwrap();
    });
    let (_, files) = received(&stream, &IntakeLimits::default()).unwrap();
    assert!(files["large"] == (FileMode::Executable, bytes));
}

#[test]
fn every_cut_of_a_stream_is_noticed() {
    let whole = good();
    for length in 0..whole.len() {
        assert!(matches!(check(&whole[..length]), IntakeError::Truncated), "cut at {length}");
    }
}

#[test]
fn nothing_may_follow_the_end() {
    for extra in [&b"\0"[..], b"f", &good()] {
        assert!(matches!(check(&[&good(), extra].concat()), IntakeError::Damaged("something follows its end")));
    }
}

#[test]
fn paths_and_links_are_checked_again_outside() {
    for path in ["../x", "/etc/x", ".git/config", "a\0b", "", "a//b"] {
        assert!(matches!(check(&forged(path, 0, b"x")), IntakeError::Path { .. }), "{path}");
    }
    for target in ["/etc/passwd", "../x", "a/../../x"] {
        assert!(matches!(check(&forged("link", 2, target.as_bytes())), IntakeError::Link { .. }), "{target}");
    }
    assert!(matches!(check(&forged("a", 3, b"x")), IntakeError::Damaged("an unknown mode")));
    assert!(received(&forged("a", 0, b"x"), &IntakeLimits::default()).is_ok(), "the forgery itself is well-formed");
}

#[test]
fn files_that_cannot_lie_together_are_refused() {
    for second in ["a", "A", "a/b"] {
        let bytes = stream(|mut frames| {
            frames.whole(&"a".parse().unwrap(), FileMode::Symlink, b"x").unwrap();
            frames.whole(&second.parse().unwrap(), FileMode::File, b"").unwrap();
            frames.finish(0).unwrap();
        });
        assert!(matches!(check(&bytes), IntakeError::Manifest(_)), "{second}");
    }
}

#[test]
fn lies_about_counts_lengths_and_references_are_noticed() {
    let mut counts = good();
    let at = counts.len() - 9;
    counts[at] ^= 1;
    assert!(matches!(check(&counts), IntakeError::Damaged("the counts at its end are wrong")));
    let mut chunk = forged("a", 0, b"xy");
    chunk[8 + 2 + 2 + 1 + 8 + 3] = 3;
    assert!(matches!(check(&chunk), IntakeError::Damaged("a chunk of a wrong length")));
    chunk[8 + 2 + 2 + 1 + 8 + 3] = 0;
    assert!(matches!(check(&chunk), IntakeError::Damaged("a chunk of a wrong length")));
    let reference = stream(|mut frames| {
        frames.same(&"c".parse().unwrap(), 0, 5).unwrap();
        frames.finish(0).unwrap();
    });
    assert!(matches!(check(&reference), IntakeError::Damaged("a reference to no entry")));
    assert!(matches!(check(b"GET / HTTP/1.1\r\n"), IntakeError::Damaged("it does not start as one")));
}

#[test]
fn limits_hold_outside_whatever_the_sandbox_does() {
    let limits = IntakeLimits { files_max: 2, bytes_max: 10, file_bytes_max: 6 };
    let with = |sizes: &[usize]| {
        let bytes = stream(|mut frames| {
            for (number, size) in sizes.iter().enumerate() {
                frames.whole(&format!("f{number}").parse().unwrap(), FileMode::File, &vec![0; *size]).unwrap();
            }
            frames.finish(0).unwrap();
        });
        received(&bytes, &limits)
    };
    assert!(with(&[5, 5]).is_ok());
    assert!(matches!(with(&[1, 1, 1]), Err(IntakeError::TooManyFiles { max: 2 })));
    assert!(matches!(with(&[5, 6]), Err(IntakeError::TooManyBytes { max: 10 })));
    assert!(matches!(with(&[7]), Err(IntakeError::FileTooLarge { size: 7, max: 6, .. })));
}

#[test]
fn an_announced_size_reserves_no_memory() {
    let mut stream = b"SKYFRM\x00\x01f\x00\x00\x01a".to_vec();
    stream.extend((1_u64 << 62).to_be_bytes());
    assert!(matches!(check(&stream), IntakeError::FileTooLarge { .. }));
}

#[test]
fn a_refusal_arrives_even_from_the_middle_of_a_file() {
    let refusal = Refusal::new(RefusalCode::InvalidArchive, "entry 3: \x1b[2Jbad", "send it again");
    let bytes = stream(|mut frames| {
        let short = &mut &[0; 100_000][..];
        frames.entry(&"a".parse().unwrap(), FileMode::File, 200_000, short).unwrap_err();
        frames.fail(&refusal).unwrap();
    });
    let IntakeError::Refused(received) = check(&bytes) else { panic!("no refusal") };
    assert_eq!(received.message, "entry 3: \u{fffd}[2Jbad");
    assert_eq!((received.code, received.hint), (refusal.code, refusal.hint));
}

#[test]
fn ten_thousand_small_files_pass() {
    let body = vec![7; 1000];
    let stream = stream(|mut frames| {
        for number in 0..10_000 {
            frames.whole(&format!("d{}/f{number}", number % 100).parse().unwrap(), FileMode::File, &body).unwrap();
        }
        frames.finish(0).unwrap();
    });
    let (received, _) = received(&stream, &IntakeLimits::default()).unwrap();
    assert_eq!(received.manifest.files().len(), 10_000);
}
