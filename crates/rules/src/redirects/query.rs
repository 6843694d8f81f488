//! The parameters of a request's query that a redirect asks for.

use std::borrow::Cow;

/// The value of a parameter, encoded as it was sent: the last one whose value is not followed by a lone `&`, which is what
/// Netlify's matcher takes.
pub(crate) fn value<'q>(query: &'q str, key: &str) -> Option<&'q str> {
    let mut end = query.len();
    loop {
        let pair_start = query.get(..end)?.rfind('&').map_or(0, |at| at + 1);
        let pair = query.get(pair_start..end)?;
        let found = pair.strip_prefix(key).and_then(|rest| rest.strip_prefix('='));
        let rest = query.get(end..)?;
        if let Some(found) = found
            && rest != "&"
        {
            return Some(found);
        }
        end = pair_start.checked_sub(1)?;
    }
}

/// A value with `+` and `%` escapes read; an escape that is none stays as it is.
pub(crate) fn decode(value: &str) -> Cow<'_, [u8]> {
    if !value.contains(['+', '%']) {
        return Cow::Borrowed(value.as_bytes());
    }
    Cow::Owned(percent_encoding::percent_decode_str(&value.replace('+', " ")).collect())
}

/// A decoded value as it is written into a target: `+` for a space, escapes for all but letters, digits and `-._~`.
pub(crate) fn encode(value: &[u8], target: &mut String) {
    for byte in value {
        match byte {
            b' ' => target.push('+'),
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => target.push(char::from(*byte)),
            _ => target.push_str(percent_encoding::percent_encode_byte(*byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts() {
        for (query, key, expected) in [
            ("id=7&z=1", "id", Some("7")),
            ("z=1&id=7", "id", Some("7")),
            ("id=1&id=2", "id", Some("2")),
            ("id=7&", "id", None),
            ("id=1&id=2&", "id", Some("1")),
            ("&&id=1&&", "id", Some("1")),
            ("xid=1", "id", None),
            ("id", "id", None),
            ("id==", "id", Some("=")),
            ("", "id", None),
            ("=1", "", Some("1")),
        ] {
            assert_eq!(value(query, key), expected, "{query} {key}");
        }
    }

    #[test]
    fn values_cannot_break_out_of_a_target() {
        let mut target = String::new();
        encode(&decode("a%0d%0a+%2f%2Fevil%zz"), &mut target);
        assert_eq!(target, "a%0D%0A+%2F%2Fevil%25zz");
    }
}
