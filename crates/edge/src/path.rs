//! The path of a request, decoded once.
//!
//! The result is a key for a map, never a path on a disk. Parts are split before they are decoded, so an encoded
//! slash never becomes a separator.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A decoded path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestPath<'r> {
    /// Its parts joined by `/`, without the slash at either end; empty for `/`.
    pub(crate) key: Cow<'r, str>,
    /// How it ends.
    pub(crate) ending: Ending,
    /// What it may lead to.
    pub(crate) reach: Reach,
}

/// How a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// In a slash: a folder is meant.
    Slash,
    /// In a name.
    Name,
}

/// What a path may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A file, or a page of a single-page app.
    Files,
    /// No file can have this name (a part holds an encoded slash), but a single-page app may use the address.
    PagesOnly,
    /// Nothing: a hidden file, or an empty part.
    Nothing,
}

/// Why a path is refused with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPath {
    #[error("the path does not start with `/`")]
    NotAbsolute,
    #[error("the path has a `%` that two hexadecimal digits do not follow")]
    Percent,
    #[error("the path is not UTF-8 when decoded")]
    Encoding,
    #[error("the path has a control character or a backslash")]
    Character,
    #[error("the path has a `.` or `..` part")]
    Dots,
}

impl<'r> RequestPath<'r> {
    /// Decodes the path of a request's target.
    pub(crate) fn parse(raw: &'r str) -> Result<Self, BadPath> {
        let raw = raw.strip_prefix('/').ok_or(BadPath::NotAbsolute)?;
        let (parts, ending) = match raw.strip_suffix('/') {
            Some(parts) => (parts, Ending::Slash),
            None if raw.is_empty() => (raw, Ending::Slash),
            None => (raw, Ending::Name),
        };
        if is_plain(parts) {
            return Ok(Self { key: Cow::Borrowed(parts), ending, reach: Reach::Files });
        }
        Self::decode(raw, parts, ending)
    }

    fn decode(raw: &'r str, parts: &'r str, ending: Ending) -> Result<Self, BadPath> {
        // `//` leaves nothing between its slashes but is not `/`.
        let mut reach = if raw == "/" { Reach::Nothing } else { Reach::Files };
        let mut key = String::new();
        let mut below_well_known = false;
        for (place, part) in parts.split('/').enumerate() {
            let part = decode(part)?;
            if place == 0 {
                below_well_known = part == ".well-known";
            } else {
                key.push('/');
            }
            let whole_is_empty = parts.is_empty();
            reach = weaker(reach, check_part(&part, below_well_known, whole_is_empty)?);
            key.push_str(&part);
        }
        let key = if key == parts { Cow::Borrowed(parts) } else { Cow::Owned(key) };
        Ok(Self { key, ending, reach })
    }

    /// The last part.
    pub(crate) fn last_part(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }
}

/// Whether a path is already what decoding would make of it, and leads to files: the usual case, at a glance.
fn is_plain(parts: &str) -> bool {
    let mut before = b'/';
    for byte in parts.bytes() {
        match byte {
            b'.' | b'/' if before == b'/' => return false,
            b'%' | b'\\' | 0..=0x1f | 0x7f.. => return false,
            _ => before = byte,
        }
    }
    before != b'/'
}

fn decode(part: &str) -> Result<Cow<'_, str>, BadPath> {
    for (at, _) in part.match_indices('%') {
        let digits = part.as_bytes().get(at + 1..at + 3).ok_or(BadPath::Percent)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(BadPath::Percent);
        }
    }
    percent_decode_str(part).decode_utf8().map_err(|_| BadPath::Encoding)
}

/// What a decoded part allows its path to lead to.
fn check_part(part: &str, below_well_known: bool, whole_is_empty: bool) -> Result<Reach, BadPath> {
    if part.chars().any(|c| c.is_control() || c == '\\') {
        return Err(BadPath::Character);
    }
    let mut reach = if part.contains('/') { Reach::PagesOnly } else { Reach::Files };
    for piece in part.split('/') {
        match piece {
            "." | ".." => return Err(BadPath::Dots),
            "" if !whole_is_empty => reach = Reach::Nothing,
            _ if piece.starts_with('.') && !below_well_known => reach = Reach::Nothing,
            _ => {}
        }
    }
    Ok(reach)
}

fn weaker(a: Reach, b: Reach) -> Reach {
    match (a, b) {
        (Reach::Nothing, _) | (_, Reach::Nothing) => Reach::Nothing,
        (Reach::PagesOnly, _) | (_, Reach::PagesOnly) => Reach::PagesOnly,
        (Reach::Files, Reach::Files) => Reach::Files,
    }
}

/// What stays as it is in the path of a `Location`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes a key as the path of a `Location`: one slash, then the key.
pub(crate) fn encode(key: &str) -> String {
    format!("/{}", utf8_percent_encode(key, PLAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str) -> String {
        match RequestPath::parse(raw) {
            Ok(path) => format!("{} {:?} {:?}", path.key, path.ending, path.reach),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn paths_are_decoded_exactly_once() {
        for (raw, expected) in [
            ("/", " Slash Files"),
            ("/a/b", "a/b Name Files"),
            ("/a/b/", "a/b Slash Files"),
            ("/a%20b/%C3%A4", "a b/ä Name Files"),
            ("/%252e%252e/x", "%2e%2e/x Name Files"),
            ("/a%2Fb", "a/b Name PagesOnly"),
            ("/.well-known/acme/x", ".well-known/acme/x Name Files"),
            ("/.well-known/.hidden", ".well-known/.hidden Name Files"),
            ("/..;/x", "..;/x Name Nothing"),
        ] {
            assert_eq!(check(raw), expected, "{raw}");
        }
    }

    #[test]
    fn hidden_names_and_empty_parts_lead_to_nothing() {
        let nothing = [
            "//",
            "///",
            "//a",
            "/a//b",
            "/a//",
            "/.env",
            "/a/.git/config",
            "/%2eenv",
            "/a%2f.env",
            "/x/.well-known/y",
            "/a%2f/b",
        ];
        for raw in nothing {
            assert!(check(raw).ends_with("Nothing"), "{raw}: {}", check(raw));
        }
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        for (raw, expected) in [
            ("*", "NotAbsolute"),
            ("", "NotAbsolute"),
            ("/..", "Dots"),
            ("/a/../b", "Dots"),
            ("/./a", "Dots"),
            ("/%2e%2E/a", "Dots"),
            ("/..%2fa", "Dots"),
            ("/a%2f..", "Dots"),
            ("/%", "Percent"),
            ("/%4", "Percent"),
            ("/%zz", "Percent"),
            ("/%+1", "Percent"),
            ("/%u002e", "Percent"),
            ("/%c0%ae", "Encoding"),
            ("/%ff", "Encoding"),
            ("/a%00b", "Character"),
            ("/a%0d%0ab", "Character"),
            ("/a%7f", "Character"),
            ("/a%5cb", "Character"),
            ("/a\\b", "Character"),
        ] {
            assert_eq!(check(raw), expected, "{raw}");
        }
    }

    proptest::proptest! {
        #[test]
        fn an_encoded_key_parses_back(key in "[a-zäß %?#&=+;:@!$'(),*~_-]{1,20}(/[a-z %?#]{1,10}){0,3}") {
            let encoded = encode(&key);
            let path = RequestPath::parse(&encoded).unwrap();
            proptest::prop_assert_eq!(path.key.as_ref(), key.as_str());
        }

        #[test]
        fn a_plain_path_is_what_decoding_makes_of_it(parts in "[a-z.%2/]{0,5}|[^/]{0,3}/[^/]{0,3}|[a-z.]{1,4}(/[a-z.]{1,4}){0,3}") {
            if is_plain(&parts) {
                let plain = RequestPath { key: Cow::Borrowed(&parts), ending: Ending::Name, reach: Reach::Files };
                proptest::prop_assert_eq!(RequestPath::decode(&parts, &parts, Ending::Name), Ok(plain));
            }
        }
    }
}
