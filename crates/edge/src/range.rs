//! One range of bytes (RFC 9110 §14). Several at once are answered with the whole file: no client needs them for
//! files, and they are how small requests make large answers.

use http::HeaderMap;
use http::header::RANGE;

/// Which bytes to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// All of them: no range was asked for, or one that is not to be heeded.
    Whole,
    /// From `first` on, `length` bytes; never empty, never beyond the end.
    Part { first: u64, length: u64 },
    /// None of them exist: 416.
    Unsatisfiable,
}

/// The range a request asks for, of a file with `size` bytes.
pub(crate) fn parse(headers: &HeaderMap, size: u64) -> Range {
    let mut all = headers.get_all(RANGE).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().ok().and_then(|text| parse_text(text, size)).unwrap_or(Range::Whole),
        _ => Range::Whole,
    }
}

/// `None` where the text is not one range of bytes, which is to be ignored.
fn parse_text(text: &str, size: u64) -> Option<Range> {
    let (unit, range) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.split_once('-')?;
    let (first, last) = match (first, last) {
        ("", suffix) => (size.saturating_sub(number(suffix)?.min(size)), size.checked_sub(1)),
        (first, "") => (number(first)?, size.checked_sub(1)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, size.checked_sub(1).map(|end| last.min(end)))
        }
    };
    Some(match last {
        Some(last) if first <= last => Range::Part { first, length: last - first + 1 },
        _ => Range::Unsatisfiable,
    })
}

/// Digits only. A number that is too large for 64 bits is beyond every file all the same.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, size: u64) -> String {
        let headers = HeaderMap::from_iter([(RANGE, range.parse().unwrap())]);
        match parse(&headers, size) {
            Range::Whole => "whole".into(),
            Range::Part { first, length } => format!("{first}+{length}"),
            Range::Unsatisfiable => "unsatisfiable".into(),
        }
    }

    #[test]
    fn single_ranges_are_cut_to_the_file() {
        for (range, expected) in [
            ("bytes=0-0", "0+1"),
            ("bytes=0-9", "0+10"),
            ("bytes=2-5", "2+4"),
            ("bytes=5-", "5+5"),
            ("bytes=0-", "0+10"),
            ("bytes=5-100", "5+5"),
            ("bytes=9-99999999999999999999999999", "9+1"),
            ("bytes=-3", "7+3"),
            ("bytes=-10", "0+10"),
            ("bytes=-99999999999999999999999", "0+10"),
            ("BYTES=1-1", "1+1"),
        ] {
            assert_eq!(check(range, 10), expected, "{range}");
        }
    }

    #[test]
    fn ranges_without_a_byte_are_unsatisfiable() {
        for range in ["bytes=10-", "bytes=10-20", "bytes=99999999999999999999999-", "bytes=-0"] {
            assert_eq!(check(range, 10), "unsatisfiable", "{range}");
        }
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(check(range, 0), "unsatisfiable", "{range} of nothing");
        }
    }

    #[test]
    fn whatever_is_not_one_range_of_bytes_is_ignored() {
        let many = format!("bytes={}", "0-0,".repeat(5000));
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "bytes= 0-1",
            "bytes=0 - 1",
            "bytes=0-1,2-3",
            "bytes=0-1,",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=0x1-2",
            "items=0-1",
            "bytes:0-1",
            &many,
        ] {
            assert_eq!(check(range, 10), "whole", "{range}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_part_is_never_empty_nor_beyond_the_end(range in "bytes=[0-9]{0,20}-[0-9]{0,20}", size in 0..100_u64) {
            let headers = HeaderMap::from_iter([(RANGE, range.parse().unwrap())]);
            if let Range::Part { first, length } = parse(&headers, size) {
                proptest::prop_assert!(length > 0);
                proptest::prop_assert!(first.checked_add(length).is_some_and(|end| end <= size));
            }
        }
    }
}
