//! Ranges of bytes (RFC 9110 §14). Requests for more bytes than a file has, or for many pieces, are answered with the
//! whole file: they are how small requests make large answers.

use http::HeaderMap;
use http::header::RANGE;

/// More pieces than this are answered with the whole file.
const PARTS_MAX: usize = 16;

/// Which bytes to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// All of them: no range was asked for, or one that is not to be heeded.
    Whole,
    /// Some of them.
    Part(Part),
    /// Several pieces, in the order in which they were asked for; together not more than the file.
    Parts(Vec<Part>),
    /// None of them exist: 416.
    Unsatisfiable,
}

/// From `first` on, `length` bytes; never empty, never beyond the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) first: u64,
    pub(crate) length: u64,
}

/// The range a request asks for, of a file with `size` bytes.
pub(crate) fn parse(headers: &HeaderMap, size: u64) -> Range {
    let mut all = headers.get_all(RANGE).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().ok().and_then(|text| parse_text(text, size)).unwrap_or(Range::Whole),
        _ => Range::Whole,
    }
}

/// `None` where the text is not a list of ranges of bytes, or one that is not to be heeded.
fn parse_text(text: &str, size: u64) -> Option<Range> {
    let (unit, list) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut parts = Vec::new();
    for (place, range) in list.split(',').enumerate() {
        if place >= PARTS_MAX {
            return None;
        }
        parts.extend(parse_one(range.trim_matches([' ', '\t']), size)?);
    }
    let bytes = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.length));
    match parts[..] {
        [] => Some(Range::Unsatisfiable),
        [part] => Some(Range::Part(part)),
        _ if bytes > size => None,
        _ => Some(Range::Parts(parts)),
    }
}

/// The bytes of one range that exist, if any; `None` where it is malformed.
fn parse_one(range: &str, size: u64) -> Option<Option<Part>> {
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
    let last = last.filter(|last| first <= *last);
    Some(last.map(|last| Part { first, length: last - first + 1 }))
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
            Range::Part(Part { first, length }) => format!("{first}+{length}"),
            Range::Parts(parts) => parts.iter().map(|p| format!("{}+{} ", p.first, p.length)).collect(),
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
            "bytes=0 - 1",
            "bytes=0-1,",
            "bytes=0-1,,3-4",
            "bytes=0-1,x",
            "bytes=0-5,2-9",
            "bytes=0-,0-",
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

    #[test]
    fn several_ranges_keep_their_order_and_lose_what_does_not_exist() {
        for (range, expected) in [
            ("bytes=0-1,2-3", "0+2 2+2 "),
            ("bytes=5-6, 0-1", "5+2 0+2 "),
            ("bytes=0-1 ,\t-2", "0+2 8+2 "),
            ("bytes=0-1,1-2", "0+2 1+2 "),
            ("bytes=0-1,10-20", "0+2"),
            ("bytes=10-,11-", "unsatisfiable"),
            ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9", "0+1 1+1 2+1 3+1 4+1 5+1 6+1 7+1 8+1 9+1 "),
        ] {
            assert_eq!(check(range, 10), expected, "{range}");
        }
    }

    proptest::proptest! {
        #[test]
        fn parts_are_within_the_file_and_not_more_than_it(
            range in "bytes=[0-9]{0,3}-[0-9]{0,20}(,[0-9]{0,3}-[0-9]{0,3}){0,5}", size in 0..300_u64,
        ) {
            let headers = HeaderMap::from_iter([(RANGE, range.parse().unwrap())]);
            let parts = match parse(&headers, size) {
                Range::Part(part) => vec![part],
                Range::Parts(parts) => parts,
                Range::Whole | Range::Unsatisfiable => vec![],
            };
            for Part { first, length } in &parts {
                proptest::prop_assert!(*length > 0);
                proptest::prop_assert!(first.checked_add(*length).is_some_and(|end| end <= size));
            }
            proptest::prop_assert!(parts.iter().map(|part| part.length).sum::<u64>() <= size);
        }
    }
}
