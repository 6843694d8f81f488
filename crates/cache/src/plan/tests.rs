//! A request, what was kept, how long ago: what happens.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::*;
use crate::storing::{Refusal, storing};

/// Some Monday.
const THEN: Millis = 1_790_000_000_000;

fn map(text: &str) -> HeaderMap {
    let fields = text.split(" | ").filter_map(|field| field.split_once(": "));
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn keep(status: u16, answer: &str) -> Result<Stored, Refusal> {
    let ask = Ask::of(&Method::GET, &HeaderMap::new(), false).unwrap();
    storing(&ask, &HeaderMap::new(), StatusCode::from_u16(status).unwrap(), &map(answer), (THEN, THEN))
}

/// What a request gets `seconds` after this answer came.
fn check(request: &str, answer: &str, seconds: u64) -> String {
    let stored = match keep(200, answer) {
        Ok(stored) => stored,
        Err(refusal) => return format!("not kept: {refusal:?}"),
    };
    let ask = Ask::of(&Method::GET, &map(request), false).unwrap();
    match plan(&ask, &stored, THEN + seconds * 1000) {
        Plan::Serve => "serve".into(),
        Plan::ServeAndRefresh => "serve and refresh".into(),
        Plan::AskAgain(Why::Stale) => "stale".into(),
        Plan::AskAgain(Why::Request) => "asked for".into(),
    }
}

#[test]
fn an_answer_is_good_for_as_long_as_it_says() {
    for (answer, seconds, wanted) in [
        ("cache-control: max-age=60", 59, "serve"),
        ("cache-control: max-age=60", 60, "stale"),
        ("cache-control: max-age=60, s-maxage=10", 10, "stale"),
        ("cache-control: max-age=10, s-maxage=60", 59, "serve"),
        ("cache-control: max-age=0 | expires: Fri, 01 Jan 2100 00:00:00 GMT | etag: \"a\"", 0, "stale"),
        ("expires: Fri, 01 Jan 2100 00:00:00 GMT", 1_000_000, "serve"),
        ("expires: 0 | etag: \"a\"", 0, "stale"),
        ("cache-control: max-age=60 | age: 50", 9, "serve"),
        ("cache-control: max-age=60 | age: 50", 10, "stale"),
        ("cache-control: max-age=60 | age: old | etag: \"a\"", 0, "stale"),
        ("cache-control: max-age=60 | age: 0 | age: 0 | etag: \"a\"", 0, "stale"),
        ("cache-control: no-cache, max-age=60 | etag: \"a\"", 0, "stale"),
        ("cache-control: max-age=1 | cdn-cache-control: max-age=60", 59, "serve"),
        ("cache-control: max-age=60 | cdn-cache-control: max-age=1", 2, "stale"),
    ] {
        assert_eq!(check("", answer, seconds), wanted, "{answer} after {seconds} s");
    }
}

#[test]
fn a_date_that_lies_back_makes_an_answer_older_and_one_ahead_does_not_make_it_younger() {
    // THEN is Mon, 21 Sep 2026 14:13:20 GMT.
    let back = "cache-control: max-age=60 | date: Mon, 21 Sep 2026 14:12:50 GMT";
    assert_eq!((check("", back, 29), check("", back, 30)), ("serve".into(), "stale".into()));
    let ahead = "cache-control: max-age=60 | date: Mon, 21 Sep 2026 15:00:00 GMT";
    assert_eq!((check("", ahead, 59), check("", ahead, 60)), ("serve".into(), "stale".into()));
}

#[test]
fn what_says_nothing_is_good_for_a_tenth_of_its_age_but_only_with_some_statuses() {
    let changed = "last-modified: Mon, 21 Sep 2026 14:03:20 GMT"; // 600 s before
    assert_eq!((check("", changed, 59), check("", changed, 60)), ("serve".into(), "stale".into()));
    let long_ago = "last-modified: Mon, 21 Sep 1998 14:03:20 GMT";
    assert_eq!(check("", long_ago, 24 * 3600), "stale", "a day at most");
    for status in [201, 202, 302, 403, 500, 502, 503, 599] {
        assert_eq!(keep(status, changed).err(), Some(Refusal::Status), "{status}");
    }
    assert!(keep(404, changed).is_ok());
    assert_eq!(keep(200, "content-type: text/plain").err(), Some(Refusal::Useless));
}

#[test]
fn beyond_its_time_an_answer_is_used_only_as_it_and_the_request_allow() {
    let swr = "cache-control: max-age=10, stale-while-revalidate=20";
    assert_eq!((check("", swr, 30), check("", swr, 31)), ("serve and refresh".into(), "stale".into()));
    let forbidden = "cache-control: max-age=10, stale-while-revalidate=20, must-revalidate";
    assert_eq!(check("", forbidden, 11), "stale");
    assert_eq!(check("cache-control: max-stale", forbidden, 11), "stale");
    assert_eq!(check("cache-control: max-stale=5", "cache-control: max-age=10", 15), "serve");
    assert_eq!(check("cache-control: max-stale=5", "cache-control: max-age=10", 16), "stale");
    assert_eq!(check("cache-control: max-stale=9", "cache-control: s-maxage=10", 11), "stale");
}

#[test]
fn a_request_may_want_it_fresher() {
    let minute = "cache-control: max-age=60";
    for (request, seconds, wanted) in [
        ("cache-control: no-cache", 0, "asked for"),
        ("pragma: no-cache", 0, "asked for"),
        ("pragma: no-cache | cache-control: x", 0, "serve"),
        ("cache-control: max-age=5", 5, "serve"),
        ("cache-control: max-age=5", 6, "asked for"),
        ("cache-control: min-fresh=20", 40, "serve"),
        ("cache-control: min-fresh=20", 41, "asked for"),
    ] {
        assert_eq!(check(request, minute, seconds), wanted, "{request}");
    }
}

#[test]
fn what_is_for_one_visitor_is_never_kept_whatever_it_says() {
    for (answer, refusal) in [
        ("cache-control: public, max-age=60 | set-cookie: a=b", Refusal::Cookie),
        ("cache-control: private, max-age=60", Refusal::Answer),
        ("cache-control: private=\"x\", max-age=60", Refusal::Answer),
        ("cache-control: no-store, max-age=60", Refusal::Answer),
        ("cache-control: max-age=60 | cdn-cache-control: no-store", Refusal::Answer),
        ("cache-control: max-age=60 | vary: *", Refusal::Vary),
        ("cache-control: max-age=60 | vary: a, *", Refusal::Vary),
    ] {
        assert_eq!(keep(200, answer).err(), Some(refusal), "{answer}");
    }
    assert_eq!(keep(206, "cache-control: max-age=60").err(), Some(Refusal::Status));
    assert_eq!(keep(599, "cache-control: max-age=60, must-understand").err(), Some(Refusal::Status));
    assert!(keep(200, "cache-control: max-age=60, must-understand, no-store").is_ok());
    for request in ["cookie: a=b", "authorization: Bearer x"] {
        assert_eq!(Ask::of(&Method::GET, &map(request), false).err(), Some(crate::Bypass::Credentials));
    }
    assert_eq!(Ask::of(&Method::GET, &HeaderMap::new(), true).err(), Some(crate::Bypass::Body));
    assert_eq!(Ask::of(&Method::POST, &HeaderMap::new(), false).err(), Some(crate::Bypass::Method));
    let ask = Ask::of(&Method::GET, &map("cache-control: no-store"), false).unwrap();
    let answer = map("cache-control: max-age=60");
    let kept = storing(&ask, &HeaderMap::new(), StatusCode::OK, &answer, (THEN, THEN));
    assert_eq!(kept.err(), Some(Refusal::Request));
}

#[test]
fn an_answer_stands_in_for_a_failing_host_only_where_it_says_so() {
    let stored = keep(200, "cache-control: max-age=10, stale-if-error=20").unwrap();
    assert!(stored.stands_in(THEN + 30_000) && !stored.stands_in(THEN + 30_001));
    assert!(!keep(200, "cache-control: max-age=10").unwrap().stands_in(THEN + 10_001));
    assert!(
        !keep(200, "cache-control: max-age=10, stale-if-error=20, must-revalidate").unwrap().stands_in(THEN + 11_000)
    );
}

#[test]
fn a_304_makes_it_fresh_again_and_changes_all_but_what_describes_its_bytes() {
    let stored = keep(
        200,
        "cache-control: max-age=10 | etag: \"a\" | content-length: 5 | x-old: 1 | x-both: 1 | age: 9 | cache-tag: one",
    );
    let confirmation =
        map("cache-control: max-age=60 | etag: \"b\" | content-length: 0 | x-both: 2 | x-both: 3 | cache-tag: two");
    let later = THEN + 100_000;
    let refreshed = stored.unwrap().refreshed(&confirmation, (later, later));
    let get = |name: &str| refreshed.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(get("etag").as_deref(), Some("\"a\""));
    assert_eq!(get("content-length").as_deref(), Some("5"));
    assert_eq!(get("x-old").as_deref(), Some("1"));
    assert_eq!(refreshed.headers.get_all("x-both").iter().count(), 2);
    assert_eq!((refreshed.age_s(later + 59_000), refreshed.ttl_s(later + 59_000)), (59, 1));
    assert_eq!(refreshed.tags, ["two".into()]);
    assert!(
        Stored::is_forbidden_by(&map("set-cookie: a=b")) && Stored::is_forbidden_by(&map("cache-control: private"))
    );
}

proptest::proptest! {
    #[test]
    fn no_answer_makes_it_panic_and_an_older_one_is_never_fresher(
        control in "[a-z=\"0-9, -]{0,60}", age in "[0-9, a]{0,24}", expires in "\\PC{0,40}", early in 0_u64..1_000_000, late in 0_u64..1_000_000,
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in [("cache-control", &control), ("age", &age), ("expires", &expires)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers.insert("etag", HeaderValue::from_static("\"a\""));
        let ask = Ask::of(&Method::GET, &HeaderMap::new(), false).unwrap();
        if let Ok(stored) = storing(&ask, &HeaderMap::new(), StatusCode::OK, &headers, (THEN, THEN)) {
            let served = |after: u64| plan(&ask, &stored, THEN + after) == Plan::Serve;
            let (early, late) = (early.min(late), early.max(late));
            proptest::prop_assert!(served(early) || !served(late));
        }
    }
}
