//! Requests with a condition, answered from an answer that is there (RFC 9110, 13).

use http::header::{DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use crate::date::{date_of, parse};
use crate::directives::items;

/// What a condition comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// Send the answer.
    Send,
    /// The client has it: 304.
    NotModified,
}

/// Whether the client of a reading request has the answer already.
pub fn evaluate(request: &HeaderMap, status: StatusCode, answer: &HeaderMap) -> Met {
    if status != StatusCode::OK {
        return Met::Send;
    }
    if request.contains_key(IF_NONE_MATCH) {
        return if none_match(request, answer) { Met::Send } else { Met::NotModified };
    }
    let since = date_of(request, &IF_MODIFIED_SINCE);
    let changed = date_of(answer, &LAST_MODIFIED).or_else(|| date_of(answer, &DATE));
    match (since, changed) {
        (Some(since), Some(changed)) if changed <= since => Met::NotModified,
        _ => Met::Send,
    }
}

/// Whether a part may be sent of this answer, to a client that has another part of it.
pub fn if_range_holds(request: &HeaderMap, answer: &HeaderMap) -> bool {
    let Some(condition) = request.get(IF_RANGE) else { return true };
    let Ok(text) = condition.to_str() else { return false };
    match parse(text) {
        Some(date) => date_of(answer, &LAST_MODIFIED) == Some(date),
        // A strong comparison: parts of two answers that are only much alike do not fit together.
        None => text.starts_with('"') && answer.get(ETAG).is_some_and(|etag| etag.as_bytes() == text.trim().as_bytes()),
    }
}

fn none_match(request: &HeaderMap, answer: &HeaderMap) -> bool {
    let etag = answer.get(ETAG).and_then(|etag| etag.to_str().ok()).map(strong);
    let lines = request.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    !lines.flat_map(items).any(|wanted| wanted == "*" || etag == Some(strong(wanted)))
}

fn strong(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn check(request: &[(&'static str, &'static str)], answer: &[(&'static str, &'static str)]) -> Met {
        evaluate(&map(request), StatusCode::OK, &map(answer))
    }

    const MONDAY: &str = "Mon, 02 Nov 2026 00:00:00 GMT";
    const TUESDAY: &str = "Tue, 03 Nov 2026 00:00:00 GMT";

    #[test]
    fn tags_count_before_dates_and_are_compared_weakly() {
        let answer = [("etag", "W/\"a\""), ("last-modified", TUESDAY)];
        assert_eq!(check(&[("if-none-match", "\"x\", \"a\"")], &answer), Met::NotModified);
        assert_eq!(check(&[("if-none-match", "*")], &answer), Met::NotModified);
        assert_eq!(check(&[("if-none-match", "\"b\""), ("if-modified-since", TUESDAY)], &answer), Met::Send);
        assert_eq!(check(&[("if-modified-since", TUESDAY)], &answer), Met::NotModified);
        assert_eq!(check(&[("if-modified-since", MONDAY)], &answer), Met::Send);
        assert_eq!(check(&[("if-modified-since", "yesterday")], &answer), Met::Send);
        assert_eq!(check(&[], &answer), Met::Send);
        assert_eq!(evaluate(&map(&[("if-none-match", "*")]), StatusCode::NOT_FOUND, &map(&answer)), Met::Send);
    }

    #[test]
    fn a_part_is_only_sent_of_the_very_same_answer() {
        let holds = |condition, answer: &[(&'static str, &'static str)]| {
            if_range_holds(&map(&[("if-range", condition)]), &map(answer))
        };
        assert!(holds("\"a\"", &[("etag", "\"a\"")]));
        assert!(!holds("W/\"a\"", &[("etag", "W/\"a\"")]));
        assert!(!holds("\"a\"", &[]));
        assert!(holds(MONDAY, &[("last-modified", MONDAY)]));
        assert!(!holds(TUESDAY, &[("last-modified", MONDAY)]));
        assert!(if_range_holds(&map(&[]), &map(&[])));
    }
}
