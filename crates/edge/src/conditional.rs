//! Whether a client already has what it asks for (RFC 9110 §13). Only entity tags: a deployment has no useful dates.

use http::HeaderMap;
use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer as if there were no conditions.
    Proceed,
    /// 304: the client's copy is current.
    NotModified,
    /// 412: the client asked for another version.
    Failed,
}

/// Weighs the conditions against the entity tag of what would be sent; it is only made where there are any.
pub(crate) fn weigh(headers: &HeaderMap, etag: impl FnOnce() -> String) -> Verdict {
    if !headers.contains_key(IF_MATCH) && !headers.contains_key(IF_NONE_MATCH) {
        return Verdict::Proceed;
    }
    let etag = etag();
    let etag = etag.as_str();
    if headers.contains_key(IF_MATCH)
        && !any_tag(headers, &IF_MATCH, |tag: Tag<'_>| tag == Tag::Any || tag == Tag::Strong(etag))
    {
        return Verdict::Failed;
    }
    let is_current = |tag: Tag<'_>| match tag {
        Tag::Any => true,
        Tag::Strong(text) | Tag::Weak(text) => text == etag,
    };
    if any_tag(headers, &IF_NONE_MATCH, is_current) { Verdict::NotModified } else { Verdict::Proceed }
}

/// Whether a range may be sent: there is one, and no condition that this is still the file it belongs to fails.
pub(crate) fn range_is_wanted(headers: &HeaderMap, etag: impl FnOnce() -> String) -> bool {
    // A date as the condition never holds, since no date was ever sent.
    headers.contains_key(RANGE) && headers.get(IF_RANGE).is_none_or(|tag| tag.as_bytes() == etag().as_bytes())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag<'r> {
    Any,
    /// With its quotes.
    Strong(&'r str),
    /// With its quotes, without `W/`.
    Weak(&'r str),
}

fn any_tag(headers: &HeaderMap, name: &http::HeaderName, wanted: impl Fn(Tag<'_>) -> bool) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|list| any_in(list, &wanted))
}

fn any_in(list: &str, wanted: &impl Fn(Tag<'_>) -> bool) -> bool {
    let mut rest = list.trim();
    if rest == "*" {
        return wanted(Tag::Any);
    }
    while let Some((tag, after)) = next_tag(rest) {
        if wanted(tag) {
            return true;
        }
        rest = after;
    }
    false
}

/// The first tag of a list and what follows it; `None` at the end, or where the list is malformed.
fn next_tag(list: &str) -> Option<(Tag<'_>, &str)> {
    let list = list.trim_start_matches([',', ' ', '\t']);
    let (weak, quoted) = match list.strip_prefix("W/") {
        Some(quoted) => (true, quoted),
        None => (false, list),
    };
    let inside = quoted.strip_prefix('"')?;
    let (tag, after) = quoted.split_at_checked(inside.find('"')? + 2)?;
    Some((if weak { Tag::Weak(tag) } else { Tag::Strong(tag) }, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn check(name: HeaderName, value: &str) -> Verdict {
        weigh(&HeaderMap::from_iter([(name, value.parse().unwrap())]), || "\"abc-br\"".to_owned())
    }

    #[test]
    fn a_current_copy_is_recognised_in_every_list() {
        for list in [
            "\"abc-br\"",
            "W/\"abc-br\"",
            "*",
            "\"x\", \"abc-br\"",
            "\"x\",W/\"abc-br\" ,\"y\"",
            ",, \"abc-br\"",
            "\"a,b\", \"abc-br\"",
        ] {
            assert_eq!(check(IF_NONE_MATCH, list), Verdict::NotModified, "{list}");
        }
    }

    #[test]
    fn other_tags_and_malformed_lists_are_no_match() {
        for list in [
            "\"abc\"",
            "\"abc-gzip\"",
            "abc-br",
            "\"abc-br",
            "",
            "W/",
            "**",
            "\"x\" *",
            "w/\"abc-br\"",
            "\"x\\\"abc-br\\\"\"",
        ] {
            assert_eq!(check(IF_NONE_MATCH, list), Verdict::Proceed, "{list}");
        }
    }

    #[test]
    fn if_match_compares_strongly() {
        assert_eq!(check(IF_MATCH, "\"abc-br\""), Verdict::Proceed);
        assert_eq!(check(IF_MATCH, "*"), Verdict::Proceed);
        assert_eq!(check(IF_MATCH, "W/\"abc-br\""), Verdict::Failed);
        assert_eq!(check(IF_MATCH, "\"other\""), Verdict::Failed);
    }

    #[test]
    fn a_range_of_another_version_is_not_sent() {
        let with = |if_range: Option<&str>| {
            let mut headers = HeaderMap::from_iter([(RANGE, "bytes=0-1".parse().unwrap())]);
            if let Some(tag) = if_range {
                headers.insert(IF_RANGE, tag.parse().unwrap());
            }
            range_is_wanted(&headers, || "\"abc\"".to_owned())
        };
        assert!(with(None));
        assert!(with(Some("\"abc\"")));
        assert!(!with(Some("W/\"abc\"")));
        assert!(!with(Some("\"old\"")));
        assert!(!with(Some("Sat, 21 Nov 2026 03:40:24 GMT")));
        assert!(!range_is_wanted(&HeaderMap::new(), || "\"abc\"".to_owned()));
    }
}
