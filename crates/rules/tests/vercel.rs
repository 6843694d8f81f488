//! `vercel.json`, compared with what Vercel's own routing-utils (and the path-to-regexp within) make of generated files.
//!
//! `SKYLIFT_SEED` picks another seed, `SKYLIFT_SOAK=1` the large count. Known deviations are in docs/rules.md.

#[path = "support/dice.rs"]
mod dice;
#[path = "support/peer.rs"]
mod peer;

use std::collections::BTreeMap;

use dice::Dice;
use peer::Peer;
use serde_json::{Value, json};
use skylift_rules::{Ask, Decision, FileExists, HeaderChange, Rules, Sources, read};

#[test]
#[expect(clippy::print_stdout, reason = "a seed that fails has to be known")]
fn vercel_json_agrees_with_routing_utils() {
    let (seed, cases) = (dice::seed(), dice::count(600, 30_000));
    println!("seed {seed}, {cases} files");
    let mut dice = Dice::new(seed ^ 0x7e4c);
    let Some(mut peer) = Peer::start() else { return };
    let (mut compared, mut applied, mut refused) = (0, 0, 0);
    for _ in 0..cases {
        let config = config(&mut dice);
        let asks: Vec<Value> = (0..20).map(|_| request(&mut dice)).collect();
        let answer = peer.ask(&json!({ "kind": "vercel", "config": config.to_string(), "asks": asks }));
        let text = config.to_string();
        let reading = read(&Sources { vercel_json: Some(text.as_bytes()), ..Sources::default() });
        let place = format!("seed {seed}\n{config:#}\n{:#?}\n{answer}", reading.rejects);
        if reading.rejects.iter().any(|reject| reject.reason.is_stricter()) {
            continue;
        }
        let bad = answer.get("error").or(answer.get("thrown"));
        let is_refused = reading.rejects.iter().any(|reject| !reject.reason.is_told_here_alone());
        assert_eq!(is_refused, bad.is_some(), "{place}");
        if bad.is_some() {
            refused += 1;
            continue;
        }
        let rules = Rules::new(reading.rules);
        for (ask, theirs) in asks.iter().zip(answer["matches"].as_array().unwrap()) {
            compared += 1;
            applied += usize::from(compare(&rules, ask, theirs, &place));
        }
    }
    println!("{compared} requests compared, {applied} of them met an entry; {refused} files refused by both");
    assert!(applied * 5 > compared && refused > 0, "most requests met no entry: this compares nothing");
}

fn compare(rules: &Rules, request: &Value, theirs: &Value, place: &str) -> bool {
    let text = |key: &str| request[key].as_str().unwrap();
    let cookie = request["cookies"]["c1"].as_str().map(|value| format!("c1={value}"));
    let header = |name: &str| match name {
        "cookie" => cookie.as_deref(),
        name => request["headers"][name].as_str(),
    };
    let query = request["query"].as_str();
    let ask = Ask { scheme: "https", host: text("host"), path: text("path"), query, country: None, header: &header };
    let ours = rules.decide(&ask, FileExists::No);
    let place = format!("{place}\n{request}\nours {ours:?}\ntheirs {theirs}");
    let mut fields = BTreeMap::new();
    for change in rules.headers(&ask, 200).unwrap() {
        let HeaderChange::Set(name, value) = change else { panic!("{place}") };
        fields.insert(name.to_owned(), value.into_owned());
    }
    // Theirs end where a redirect is found, since headers come after it.
    if theirs["status"].as_u64().is_none_or(|status| !(300..400).contains(&status)) {
        assert_eq!(json!(fields), theirs["headers"], "{place}");
    }
    let Some(to) = theirs["to"].as_str() else {
        assert_eq!(ours, Decision::Serve, "{place}");
        return !fields.is_empty();
    };
    let expected = single_slash(&with_query(to, query));
    let status = theirs["status"].as_u64().unwrap();
    if expected == with_query(text("path"), query) && (300..400).contains(&status) {
        // A redirect to the address that was asked for: we pass it over.
        return false;
    }
    let (our_status, our_target) = match ours {
        Decision::Redirect { status, location } => (u64::from(status), location),
        Decision::Rewrite { path, query, status } => {
            (u64::from(status), query.map_or(path.clone(), |query| format!("{path}?{query}")))
        }
        Decision::Proxy { url, .. } => (status, url),
        Decision::Serve | Decision::Denied => panic!("{place}"),
    };
    let expected = if (300..400).contains(&status) { expected } else { expected.split('#').next().unwrap().to_owned() };
    assert_eq!((our_status, our_target.split('#').next()), (status, expected.split('#').next()), "{place}");
    true
}

fn single_slash(to: &str) -> String {
    if to.starts_with("//") { format!("/{}", to.trim_start_matches('/')) } else { to.to_owned() }
}

fn with_query(to: &str, query: Option<&str>) -> String {
    let Some(query) = query else { return to.to_owned() };
    let (before, fragment) = to.find('#').map_or((to, ""), |at| to.split_at(at));
    let sign = match before.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{before}{sign}{query}{fragment}")
}

fn config(dice: &mut Dice) -> Value {
    let mut config = json!({});
    if dice.one_in(4) {
        config["cleanUrls"] = json!(dice.one_in(2));
    }
    if dice.one_in(4) {
        config["trailingSlash"] = json!(dice.one_in(2));
    }
    for list in ["redirects", "rewrites", "headers"] {
        if dice.one_in(2) {
            let entries: Vec<Value> = (0..1 + dice.below(3)).map(|_| entry(dice, list)).collect();
            config[list] = json!(entries);
        }
    }
    config
}

fn entry(dice: &mut Dice, list: &str) -> Value {
    let source = source(dice);
    let mut entry = json!({ "source": source });
    match list {
        "headers" => {
            let value = dice.pick(&["1", "a=:x", "https://h/:path*", "$1", "max-age=1, public", ":id-:x(1)"]);
            entry["headers"] = json!([{ "key": dice.pick(&["X-A", "x-b", "Cache-Control"]), "value": value }]);
        }
        list => {
            let destination = (0..20).map(|_| destination(dice)).find(|to| knows(&source, to));
            entry["destination"] = json!(destination.unwrap_or_else(|| "/:unknown".to_owned()));
            if list == "redirects" && dice.one_in(2) {
                entry["permanent"] = json!(dice.one_in(2));
            } else if list == "redirects" && dice.one_in(3) {
                entry["statusCode"] = json!([301, 302, 307, 308][dice.below(4)]);
            }
        }
    }
    if dice.one_in(4) {
        entry["has"] = json!([condition(dice)]);
    }
    if dice.one_in(8) {
        entry["missing"] = json!([condition(dice)]);
    }
    entry
}

/// Whether a source has all the names of a destination, or this is one of the cases where it need not.
fn knows(source: &str, destination: &str) -> bool {
    let names = |text: &str| -> Vec<String> {
        let name = |part: &str| part.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap().to_owned();
        text.split(':').skip(1).map(name).filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic())).collect()
    };
    let known = names(source);
    names(destination).iter().all(|name| known.contains(name) || name == "who" && source.len().is_multiple_of(2))
}

fn condition(dice: &mut Dice) -> Value {
    let conditions = [
        json!({ "type": "header", "key": "xh" }),
        json!({ "type": "header", "key": "xh", "value": "v(?<n>\\d+)" }),
        json!({ "type": "cookie", "key": "c1" }),
        json!({ "type": "cookie", "key": "c1", "value": "yes" }),
        json!({ "type": "query", "key": "q" }),
        json!({ "type": "query", "key": "q", "value": "(?<who>[a-z]+)" }),
        json!({ "type": "host", "value": "(?<sub>[a-z]+)\\.example" }),
        json!({ "type": "host", "value": "a.example" }),
    ];
    conditions[dice.below(conditions.len())].clone()
}

fn source(dice: &mut Dice) -> String {
    let mut source = String::new();
    if dice.one_in(30) {
        return dice.pick(&["/:x(", "/*", "a)", "/(?:x)", "/:", "/a{b", "/((a))", "no-slash"]).to_owned();
    }
    for _ in 0..1 + dice.below(3) {
        source.push_str(dice.pick(&[
            "/a",
            "/b",
            "/a",
            "/blog",
            "/a.b",
            "/é",
            "/:x",
            "/:y",
            "/:id(\\d+)",
            "/:path*",
            "/:path+",
            "/:x?",
            "/(.*)",
            "/:p(a|b)",
            "/((?!api/).*)",
            "/:x-:y",
            "{-:z}?",
            "/:id(\\d{1,3})",
            "/a:n",
            "(/x)?",
            "/:x.html",
            ".:ext",
            "/([^/]+)",
            "/",
        ]));
    }
    if source.is_empty() { "/".to_owned() } else { source }
}

fn destination(dice: &mut Dice) -> String {
    let origin = match dice.below(6) {
        0 => dice.pick(&["https://o.example", "http://o.example:8080", "https://:x.example", "https://:sub.o.example"]),
        _ => "",
    };
    let part = |dice: &mut Dice| {
        dice.pick(&[
            "/a",
            "/b",
            "/:x",
            "/:path*",
            "/:id",
            "/$1",
            "/:y",
            "/new",
            "/:p",
            "/:x-:y",
            "/index.html",
            "/:n",
            "/:who",
            "/$2",
        ])
    };
    let parts: Vec<&str> = (0..1 + dice.below(2)).map(|_| part(dice)).collect();
    let tail = ["", "", "", "", "?q=1", "?x=:x", "?p=:path*&z=a b", "#f", "?u=:id&v", "/"];
    format!("{origin}{}{}", parts.concat(), dice.pick(&tail))
}

fn request(dice: &mut Dice) -> Value {
    let parts = [
        "a",
        "b",
        "A",
        "blog",
        "a.b",
        "1",
        "42",
        "1234",
        "x",
        "a-b",
        "api",
        "%C3%A9",
        "x.html",
        "index",
        "index.html",
        "ax",
        "-z",
    ];
    let mut path = String::new();
    for _ in 0..dice.below(4) {
        path.push_str(if dice.one_in(15) && !path.is_empty() { "//" } else { "/" });
        path.push_str(dice.pick(&parts));
    }
    if path.is_empty() || dice.one_in(5) {
        path.push('/');
    }
    let query = [json!(null), json!(null), json!("q=abc"), json!("q=1&r=2")][dice.below(4)].clone();
    let headers = [json!({}), json!({ "xh": "v12" }), json!({ "xh": "other one" })][dice.below(3)].clone();
    let cookies = [json!({}), json!({ "c1": "yes" }), json!({ "c1": "n/o" })][dice.below(3)].clone();
    json!({ "path": path, "host": dice.pick(&["a.example", "b.example", "other.test"]), "query": query, "headers": headers, "cookies": cookies })
}
