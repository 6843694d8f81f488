//! Whatever the files hold and whatever is asked: reading ends, deciding ends, and nothing leads off the site by accident.

#[path = "support/dice.rs"]
mod dice;

use dice::Dice;
use proptest::prelude::*;
use skylift_rules::{Ask, Decision, Dialect, FileExists, HeaderChange, Reason, Rules, Sources, limits, read};

/// Files as people write them, to be mutated.
const REAL: [&str; 4] = [
    "/home /\n/blog/* /news/:splat 301!\n/store id=:id q=x /blog/:id 302 Country=us,de Language=en\n/* /index.html 200\n\
     http://a.example/* https://b.example/:splat 301!\n/:a/:b/c* /x/:a?b=:b#:splat 404 Role=x Cookie=y\n",
    "/*\n  X-Frame-Options: DENY\n  Cache-Control: max-age=0\n/assets/*.js\n  ! X-A\n  Link: </a>; rel=preload\nhttps://:h.example/*\n  X: :h\n",
    "[[redirects]]\nfrom = \"/a/*\"\nto = \"/b/:splat\"\nstatus = 302\nforce = true\nquery = {x = \":x\"}\nconditions = {Country = [\"us\"]}\n\
     [[headers]]\nfor = \"/*\"\n[headers.values]\nX-A = [\"1\", \"2\"]\n",
    "{\"cleanUrls\": true, \"trailingSlash\": true, \"redirects\": [{\"source\": \"/a/:b(\\\\d{1,3})/((?!x).*)\", \"destination\": \"/c/:b?x=$2\",\
     \"has\": [{\"type\": \"host\", \"value\": \"(?<h>[a-z]+)[.]example\"}]}], \"rewrites\": [{\"source\": \"/:p*\", \"destination\":\
     \"https://o.example/:p*\"}], \"headers\": [{\"source\": \"/(.*)\", \"headers\": [{\"key\": \"x\", \"value\": \"$1\"}]}]}",
];

const PATHS: &[&str] = &[
    "/",
    "//",
    "//evil.example",
    "/\\evil.example",
    "/blog//evil.example/%2e%2e",
    "/blog/%0d%0aSet-Cookie:x",
    "/a/12/y",
    "/a/%00",
    "/store",
    "/%ff",
    "/%",
    "/x/y/c/z",
    "/é",
    "/old//evil.example",
    "/a/b/../c",
    "/index.html",
    "/a/index/",
    "/http://evil.example",
];

/// Reads files and asks them about many paths.
fn survive(files: [&[u8]; 4], dialect: Dialect) {
    let [redirects, headers, netlify_toml, vercel_json] = files.map(Some);
    let reading = read(&Sources { dialect, redirects, headers, netlify_toml, vercel_json });
    assert!(reading.rejects.len() <= skylift_rules::REJECTS_MAX + 1);
    assert!(reading.rejects.iter().all(|reject| !reject.to_string().contains(['\n', '\r', '\x1b', '\0'])));
    let kept = serde_json::to_vec(&reading.rules).unwrap();
    assert_eq!(serde_json::from_slice::<skylift_rules::RuleSet>(&kept).unwrap(), reading.rules);
    let rules = Rules::new(reading.rules);
    let long = "/a/b//".repeat(1000);
    for path in PATHS.iter().copied().chain([long.as_str()]) {
        for query in [None, Some("id=%0d%0a&q=x&x=//evil.example"), Some("&&&=%")] {
            let header = |_: &str| Some("a=b, y=1; en-US");
            let ask = Ask { scheme: "https", host: "h.example", path, query, country: Some("us"), header: &header };
            for file in [FileExists::Yes, FileExists::No] {
                check(&rules.decide(&ask, file), path);
            }
            for change in rules.headers(&ask, 200).into_iter().flatten() {
                if let HeaderChange::Set(_, value) | HeaderChange::Append(_, value) = change {
                    assert!(!value.contains(['\n', '\r', '\0']), "{value:?}");
                }
            }
        }
    }
}

fn check(decision: &Decision<'_>, path: &str) {
    let target = match decision {
        Decision::Redirect { location, .. } => location,
        Decision::Rewrite { path, .. } => path,
        Decision::Proxy { url, .. } => url,
        Decision::Serve | Decision::Denied => return,
    };
    assert!(!target.contains(['\n', '\r', '\0']), "{path}: {target:?}");
    assert!(!target.starts_with("//") && !target.starts_with("/\\"), "{path}: {target:?} leads to another host");
    let is_address = target.starts_with("http://") || target.starts_with("https://");
    assert!(target.starts_with('/') || is_address, "{path}: {target:?}");
}

fn both(files: [&[u8]; 4]) {
    survive(files, Dialect::Netlify);
    survive(files, Dialect::Cloudflare);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: dice::count(64, 5000) as u32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(a in any::<Vec<u8>>(), b in any::<Vec<u8>>(), c in any::<Vec<u8>>(), d in any::<Vec<u8>>()) {
        both([&a, &b, &c, &d]);
    }

    #[test]
    fn any_lines_of_words_are_survived(text in "([/:*!=#a-c.?{}()\\\\ \t\r\n\u{e9}]|/:[a-c]|http://|20[0-9]){0,200}") {
        both([text.as_bytes(), text.as_bytes(), text.as_bytes(), text.as_bytes()]);
    }

    #[test]
    fn any_source_and_destination_is_survived(source in "[/:*+?(){}|\\\\a-c.!=\\[\\]^$-]{0,24}", to in "[/:*+?(){}$1-3a-c.#&=]{0,24}") {
        let route = serde_json::json!([{ "source": format!("/{source}"), "destination": format!("/{to}") }]);
        let file = serde_json::json!({ "redirects": route, "rewrites": route }).to_string();
        both([b"", b"", b"", file.as_bytes()]);
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a seed that fails has to be known")]
fn mutated_files_are_survived() {
    let (seed, rounds) = (dice::seed(), dice::count(150, 20_000));
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    for _ in 0..rounds {
        let mut files = REAL.map(|text| text.as_bytes().to_vec());
        for file in &mut files {
            for _ in 0..1 + dice.below(6) {
                mutate(file, &mut dice);
            }
        }
        both([&files[0], &files[1], &files[2], &files[3]]);
    }
}

fn mutate(file: &mut Vec<u8>, dice: &mut Dice) {
    if file.is_empty() {
        return;
    }
    let at = dice.below(file.len());
    match dice.below(6) {
        0 => file[at] = dice.below(256) as u8,
        1 => drop(file.remove(at)),
        2 if dice.one_in(2) => file.insert(at, b"/:*?#!(){}[]\"\\\r\n\0 %=&$."[dice.below(23)]),
        2 => {
            let piece =
                dice.pick(&["/*", ":a", "\n\n", "(?!", "{", "http://", "\u{feff}", "../", "%2f", "[[x]]", ",,"]);
            file.splice(at..at, piece.bytes());
        }
        3 => file.truncate(at),
        4 => {
            let end = (at + dice.below(20)).min(file.len());
            let piece = file[at..end].to_vec();
            let place = dice.below(file.len());
            file.splice(place..place, piece);
        }
        _ => {
            let other = dice.below(file.len());
            file.swap(at, other);
        }
    }
}

fn netlify(text: &str) -> skylift_rules::Reading {
    read(&Sources { redirects: Some(text.as_bytes()), ..Sources::default() })
}

fn location(rules: &Rules, path: &str, query: Option<&str>) -> Option<String> {
    let ask = Ask { scheme: "http", host: "h.example", path, query, country: None, header: &|_| None };
    match rules.decide(&ask, FileExists::No) {
        Decision::Redirect { location, .. } => Some(location),
        _ => None,
    }
}

#[test]
fn a_hundred_thousand_rules_are_found_by_hash_and_more_are_refused() {
    let mut text: String = (0..limits::RULES_MAX).map(|n| format!("/r{n} /t{n}\n")).collect();
    let rules = Rules::new(netlify(&text).rules);
    assert_eq!(location(&rules, "/r99999/", None).unwrap(), "/t99999");
    assert_eq!(location(&rules, "/r100000", None), None);
    text.push_str("/one /more\n");
    let reading = netlify(&text);
    assert_eq!(reading.rejects[0].reason, Reason::TooManyRules(limits::RULES_MAX));
    assert_eq!(reading.rejects[0].line, Some(limits::RULES_MAX + 1));
    let text: String = (0..=limits::PATTERNS_MAX).map(|n| format!("/r{n}/:x /t\n")).collect();
    assert!(matches!(netlify(&text).rejects[0].reason, Reason::TooManyPatterns(_)));
    let text: String = (0..=limits::WILDCARDS_MAX).map(|n| format!("/:x/{n} /t\n")).collect();
    assert!(matches!(netlify(&text).rejects[0].reason, Reason::TooManyWildcards(_)));
    let long = vec![b'#'; limits::FILE_BYTES_MAX + 1];
    let reading = read(&Sources { headers: Some(&long), ..Sources::default() });
    assert!(matches!(reading.rejects[0].reason, Reason::FileTooLong(_)));
}

#[test]
fn expressions_that_explode_elsewhere_do_not_hold_up_a_request() {
    let sources = ["/(a+)+", "/((?:a|a)*)b", "/(.*a.*a.*a.*a)x", "/((?:(?=a+)a*)*)b", "/:a*:b*:c*x"];
    let entries: Vec<_> =
        (0..400).map(|n| serde_json::json!({ "source": sources[n % sources.len()], "destination": "/x" })).collect();
    let file = serde_json::json!({ "redirects": entries }).to_string();
    let reading = read(&Sources { vercel_json: Some(file.as_bytes()), ..Sources::default() });
    let rules = Rules::new(reading.rules);
    // 8 KiB is the longest target the edge takes. Without a budget this would be 400 times thousands of millions of steps.
    let started = std::time::Instant::now();
    assert_eq!(location(&rules, &format!("/{}!", "a".repeat(8190)), None), None);
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(location(&rules, "/aaa", None).unwrap(), "/x", "the same rules work for requests of an ordinary length");
}

#[test]
fn no_request_turns_a_redirect_of_the_site_into_one_to_another_host() {
    let rules =
        Rules::new(netlify("/old/* /:splat\n/q x=:x /:x\n/h/:host https://:host.example/\n/* /:splat 302\n").rules);
    assert_eq!(location(&rules, "/old//evil.example", None).unwrap(), "/evil.example");
    assert_eq!(location(&rules, "/old/%2f%2fevil.example", None).unwrap(), "/evil.example");
    assert_eq!(location(&rules, "/old/%5cevil.example", None).unwrap(), "/%5Cevil.example");
    assert_eq!(location(&rules, "/q", Some("x=//evil.example")).unwrap(), "/%2F%2Fevil.example?x=//evil.example");
    assert_eq!(location(&rules, "/h/evil.example%23", None), None, "no name of a host");
    assert_eq!(location(&rules, "/h/de", None).unwrap(), "https://de.example/");
    let vercel = r#"{"redirects": [{"source": "/old/:p*", "destination": "/:p*"}, {"source": "/r/(.*)", "destination": "/$1"}]}"#;
    let rules = Rules::new(read(&Sources { vercel_json: Some(vercel.as_bytes()), ..Sources::default() }).rules);
    assert_eq!(location(&rules, "/r//evil.example", None).unwrap(), "/evil.example");
    assert_eq!(location(&rules, "/r/\\evil.example", None).unwrap(), "/%5Cevil.example");
    let sources = Sources { dialect: Dialect::Cloudflare, redirects: Some(b"/r/* /:splat\n"), ..Sources::default() };
    assert_eq!(location(&Rules::new(read(&sources).rules), "/r//evil.example", None).unwrap(), "/evil.example");
}

#[test]
fn nothing_in_a_file_breaks_a_line_of_the_answers_header() {
    let toml = "[[redirects]]\nfrom = \"/a\"\nto = \"/b\\r\\nSet-Cookie: x\"\n[[headers]]\nfor = \"/*\"\nvalues = {X-A = \"1\\r\\nX-B: 2\"}\n";
    let json = r#"{"redirects": [{"source": "/a", "destination": "/b\r\nX: 1"}], "headers": [{"source": "/a", "headers": [{"key": "a\r\nb", "value": "1"}]}]}"#;
    let reading = read(&Sources {
        redirects: Some(b"/c /d\r/e 301\n"),
        headers: Some(b"/*\n X-A: 1\rX-B: 2\n"),
        netlify_toml: Some(toml.as_bytes()),
        vercel_json: Some(json.as_bytes()),
        ..Sources::default()
    });
    assert!(reading.rules.headers.is_empty() && reading.rules.vercel.is_none(), "{:#?}", reading.rules);
    assert_eq!(
        reading.rejects.iter().filter(|reject| reject.reason == Reason::Control).count(),
        5,
        "{:#?}",
        reading.rejects
    );
}

#[test]
fn a_redirect_to_the_address_that_was_asked_for_is_passed_over() {
    let rules = Rules::new(netlify("/a /a 301\n/b/ /b 301\n/c http://h.example/c\n/* /fallback 302\n").rules);
    assert_eq!(location(&rules, "/a", None).unwrap(), "/fallback");
    assert_eq!(location(&rules, "/b/", None).unwrap(), "/b");
    assert_eq!(location(&rules, "/b", Some("x=1")).unwrap(), "/fallback?x=1");
    assert_eq!(location(&rules, "/c", None).unwrap(), "/fallback");
    assert_eq!(location(&rules, "/fallback", None), None);
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let deep = "[".repeat(200_000);
    let json = format!("{{\"redirects\": {deep}}}");
    let closed = format!("{{\"redirects\": {deep}{}}}", "]".repeat(200_000));
    let inner = format!("{{\"redirects\": [{{\"source\": {deep}{}}}]}}", "]".repeat(200_000));
    let toml = format!("redirects = {deep}");
    let groups = format!(r#"{{"redirects": [{{"source": "/{}", "destination": "/"}}]}}"#, "(?:".repeat(1000));
    for file in [json, closed, inner, groups] {
        let reading = read(&Sources { vercel_json: Some(file.as_bytes()), ..Sources::default() });
        assert!(!reading.rejects.is_empty() && reading.rules.is_empty());
    }
    let reading = read(&Sources { netlify_toml: Some(toml.as_bytes()), ..Sources::default() });
    assert!(!reading.rejects.is_empty() && reading.rules.is_empty());
}

#[test]
fn expressions_that_are_large_together_are_refused_together() {
    let entry = r#"{"source": "/:x([a-z]{900})", "destination": "/b", "has": [{"type": "query", "key": "q", "value": "[a-z]{900}"}]}"#;
    let file = format!("{{\"rewrites\": [{}]}}", vec![entry; 2000].join(","));
    let reading = read(&Sources { vercel_json: Some(file.as_bytes()), ..Sources::default() });
    let kept = reading.rules.vercel.unwrap().rewrites.len();
    assert!((200..400).contains(&kept), "{kept} kept");
    assert_eq!(reading.rejects.first().map(|reject| &reject.reason), Some(&Reason::TooMuch));
}

#[test]
fn many_rules_for_one_path_are_looked_at_as_far_as_a_request_may_cost() {
    let query = vec!["q=1"; 400].join("&");
    for (count, expected) in [(100, Some("/last")), (100_000, None)] {
        let mut file: String = (1..count).map(|n| format!("/a k{n}=:x /t/{n}\n")).collect();
        file.push_str("/a /last\n");
        let rules = Rules::new(netlify(&file).rules);
        assert_eq!(location(&rules, "/a", Some(&query)).is_some_and(|to| to.starts_with("/last")), expected.is_some());
        assert!(location(&rules, "/a", None).is_some_and(|to| to == "/last"), "{count}: a plain request costs little");
    }
}

#[test]
fn a_request_that_spends_the_budget_gets_past_no_rule() {
    let costly = (0..4000).map(|n| format!("/private k{n}=:x /t/{n}\n")).collect::<String>();
    let query = vec!["q=1"; 1000].join("&");
    let ask =
        |query| Ask { scheme: "http", host: "h.example", path: "/private", query, country: None, header: &|_| None };
    for last in ["/private /login 302!\n", "/private /in 200! Role=admin\n"] {
        let rules = Rules::new(netlify(&format!("{costly}{last}")).rules);
        let plain = rules.decide(&ask(None), FileExists::Yes);
        assert!(matches!(plain, Decision::Redirect { .. } | Decision::Denied), "{last} {plain:?}");
        assert!(matches!(rules.decide(&ask(Some(&query)), FileExists::Yes), Decision::Denied), "{last}");
    }
}

#[test]
fn header_fields_that_cannot_be_told_are_not_left_out() {
    let has = r#"{"type": "query", "key": "q", "value": "2"}"#;
    let costly = format!(r#"{{"source": "/a", "headers": [{{"key": "x-a", "value": "1"}}], "has": [{has}]}}"#);
    let last = r#"{"source": "/a", "headers": [{"key": "content-security-policy", "value": "default-src 'none'"}]}"#;
    let file = format!("{{\"headers\": [{}, {last}]}}", vec![costly; 1000].join(","));
    let rules = Rules::new(read(&Sources { vercel_json: Some(file.as_bytes()), ..Sources::default() }).rules);
    let ask = |query| Ask { scheme: "http", host: "h.example", path: "/a", query, country: None, header: &|_| None };
    assert_eq!(rules.headers(&ask(None), 200).map(|changes| changes.len()), Some(1));
    assert_eq!(rules.headers(&ask(Some(&vec!["q=1"; 1000].join("&"))), 200), None);
}

#[test]
fn a_condition_that_the_budget_has_no_room_for_is_not_one_that_is_missing() {
    let missing = r#"{"type": "query", "key": "none", "value": "x"}"#;
    let has = r#"{"type": "query", "key": "q", "value": "2"}"#;
    let never = format!(r#"{{"source": "/a", "destination": "/never", "has": [{has}]}}"#);
    let last = format!(r#"{{"source": "/a", "destination": "/last", "missing": [{missing}]}}"#);
    let file = format!("{{\"redirects\": [{}, {last}]}}", vec![never; 1000].join(","));
    let rules = Rules::new(read(&Sources { vercel_json: Some(file.as_bytes()), ..Sources::default() }).rules);
    assert!(location(&rules, "/a", Some("q=1")).is_some_and(|to| to.starts_with("/last")));
    assert_eq!(location(&rules, "/a", Some(&vec!["q=1"; 1000].join("&"))), None, "nothing applies any more");
}

#[test]
fn every_entry_of_a_long_file_has_its_line() {
    let file = "[[redirects]]\nfrom = \"/.netlify/a\"\nto = \"/\"\n".repeat(20_000);
    let reading = read(&Sources { netlify_toml: Some(file.as_bytes()), ..Sources::default() });
    let lines: Vec<_> = reading.rejects.iter().take(3).map(|reject| reject.line).collect();
    assert_eq!(lines, [Some(1), Some(4), Some(7)], "{:?}", reading.rejects.first());
}
