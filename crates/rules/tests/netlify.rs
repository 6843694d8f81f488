//! Redirects and headers, compared with Netlify's own parsers and matcher over generated files and requests.
//!
//! `SKYLIFT_SEED` picks another seed, `SKYLIFT_SOAK=1` the large count. Known deviations are in docs/rules.md; the generator
//! leaves them out, or the comparison names them.

#[path = "support/dice.rs"]
mod dice;
#[path = "support/generate.rs"]
mod generate;
#[path = "support/peer.rs"]
mod peer;

use std::collections::BTreeMap;

use dice::Dice;
use generate::Request;
use peer::Peer;
use serde_json::{Value, json};
use skylift_rules::{Decision, File, FileExists, HeaderChange, Reading, Rules, Sources, read};

/// A process of the peer never gives its memory back; a new one is started after so many questions.
const QUESTIONS_MAX: usize = 500;

#[test]
#[expect(clippy::print_stdout, reason = "a seed that fails has to be known")]
fn redirects_agree_with_netlify() {
    let (seed, cases) = (dice::seed(), dice::count(400, 20_000));
    println!("seed {seed}, {cases} files");
    let mut dice = Dice::new(seed);
    let (mut compared, mut applied) = (0, 0);
    for chunk in 0..cases.div_ceil(QUESTIONS_MAX) {
        let Some(mut peer) = Peer::start() else { return };
        for _ in 0..QUESTIONS_MAX.min(cases - chunk * QUESTIONS_MAX) {
            let (redirects, toml) = loosened(generate::redirects(&mut dice), generate::redirects_toml(&mut dice));
            let asks: Vec<Request> = (0..20).map(|_| generate::request(&mut dice)).collect();
            let question = json!({ "kind": "redirects", "redirects": redirects, "toml": toml, "asks": asks });
            let answer = peer.ask(&question);
            let reading = read_netlify(&redirects, "", &toml);
            let place = format!("seed {seed}\n--- _redirects\n{redirects}\n--- netlify.toml\n{toml}\n---");
            assert_eq!(answer.get("thrown"), None, "{place} {answer}");
            compare_redirects(&reading, &answer, &place);
            let rules = Rules::new(reading.rules);
            for (ask, theirs) in asks.iter().zip(answer["matches"].as_array().unwrap()) {
                compared += 1;
                applied += usize::from(compare_match(&rules, ask, theirs, &place));
            }
        }
    }
    println!("{compared} requests compared, {applied} of them met a rule");
    assert!(applied * 5 > compared, "most requests met no rule: this compares nothing");
}

/// The files without what we refuse and Netlify does not.
fn loosened(mut redirects: String, mut toml: String) -> (String, String) {
    loop {
        let reading = read_netlify(&redirects, "", &toml);
        let Some(reject) = reading.rejects.iter().find(|reject| reject.reason.is_stricter()) else {
            return (redirects, toml);
        };
        match reject.file {
            File::Redirects => {
                let is_kept = |at: usize| Some(at + 1) != reject.line;
                let kept = redirects.split('\n').enumerate().map(|(at, line)| if is_kept(at) { line } else { "" });
                redirects = kept.collect::<Vec<_>>().join("\n");
            }
            _ => toml.clear(),
        }
    }
}

fn read_netlify(redirects: &str, headers: &str, toml: &str) -> Reading {
    read(&Sources {
        redirects: Some(redirects.as_bytes()),
        headers: Some(headers.as_bytes()),
        netlify_toml: Some(toml.as_bytes()),
        ..Sources::default()
    })
}

/// How many of the rejects Netlify tells as well.
fn errors(reading: &Reading) -> usize {
    reading.rejects.iter().filter(|reject| !reject.reason.is_told_here_alone()).count()
}

fn compare_redirects(reading: &Reading, answer: &Value, place: &str) {
    assert_eq!(errors(reading), answer["errors"], "{place} {:#?} {answer:#}", reading.rejects);
    let theirs = answer["rules"].as_array().unwrap();
    assert_eq!(reading.rules.redirects.len(), theirs.len(), "{place}");
    for (ours, theirs) in reading.rules.redirects.iter().zip(theirs) {
        let condition = |name: &str| theirs["conditions"].get(name).cloned();
        let list = |list: &Option<Vec<String>>| list.as_ref().map(|list| json!(list));
        assert_eq!(ours.to, theirs["to"], "{place}");
        assert_eq!(ours.status, *theirs.get("status").unwrap_or(&json!(301)), "{place}");
        assert_eq!(ours.force, theirs["force"], "{place}");
        let query: BTreeMap<_, _> = theirs["query"].as_object().unwrap().iter().collect();
        let ours_query: BTreeMap<_, _> = ours.query.iter().map(|(key, value)| (key, json!(value))).collect();
        assert_eq!(ours_query.iter().map(|(k, v)| (*k, v)).collect::<BTreeMap<_, _>>(), query, "{place}");
        assert_eq!(list(&ours.conditions.country), condition("Country"), "{place}");
        assert_eq!(list(&ours.conditions.language), condition("Language"), "{place}");
        assert_eq!(list(&ours.conditions.role), condition("Role"), "{place}");
        let host = ours.origin.as_ref().map(|origin| json!(origin.host));
        assert_eq!(host.as_ref(), theirs.get("host"), "{place}");
    }
}

/// Compares what a request meets, and says whether that is a rule.
fn compare_match(rules: &Rules, request: &Request, theirs: &Value, place: &str) -> bool {
    let header = |name: &str| request.header(name);
    let ask = request.ask(&header);
    let ours = rules.decide(&ask, FileExists::No);
    let place = format!("{place}\n{request:?}\nours {ours:?}, theirs {theirs}");
    if theirs.is_null() {
        assert_eq!(ours, Decision::Serve, "{place}");
        return false;
    }
    if theirs["denied"] == true {
        assert_eq!(ours, Decision::Denied, "{place}");
        return true;
    }
    let status = u16::try_from(theirs["status"].as_u64().unwrap()).unwrap();
    let expected = with_query(theirs["to"].as_str().unwrap(), request.query.as_deref());
    if (300..400).contains(&status) && is_own(&expected, request) {
        // A redirect to the address that was asked for: we pass it over.
        return false;
    }
    let (our_status, to) = match &ours {
        Decision::Redirect { status, location } => (*status, location.clone()),
        Decision::Rewrite { path, query, status } => {
            (*status, query.as_ref().map_or(path.clone(), |query| format!("{path}?{query}")))
        }
        Decision::Proxy { url, .. } => (status, url.clone()),
        Decision::Serve | Decision::Denied => panic!("{place}"),
    };
    assert_eq!(our_status, status, "{place}");
    let expected = match ours {
        Decision::Rewrite { .. } => expected.split('#').next().unwrap().to_owned(),
        _ => expected,
    };
    assert_eq!(plain(&to), plain(&expected), "{place}");
    let forced = rules.decide(&ask, FileExists::Yes) != Decision::Serve;
    assert_eq!(forced, theirs["force"] == true, "{place}");
    true
}

fn is_own(to: &str, request: &Request) -> bool {
    let to = to.split('#').next().unwrap();
    let to = to.strip_suffix('?').unwrap_or(to);
    let own = format!("{}://{}", request.scheme, request.host);
    let local = to.strip_prefix(&own).unwrap_or(to);
    plain(local) == plain(&with_query(&request.path, request.query.as_deref()))
}

/// A path that begins with two slashes stays on this site with one, which Netlify leaves to the browser.
fn plain(address: &str) -> String {
    let address = match address.strip_prefix("//") {
        Some(rest) => format!("/{}", rest.trim_start_matches('/')),
        None => address.to_owned(),
    };
    percent_encoding::percent_decode_str(&address).decode_utf8().unwrap().into_owned()
}

/// What Netlify's command line does next: the request's query goes along where the target has none.
fn with_query(to: &str, query: Option<&str>) -> String {
    let (before, fragment) = to.find('#').map_or((to, ""), |at| to.split_at(at));
    let has_own = before.split_once('?').is_some_and(|(_, own)| !own.is_empty());
    match query {
        Some(query) if !has_own && !query.is_empty() => {
            format!("{}?{query}{fragment}", before.strip_suffix('?').unwrap_or(before))
        }
        _ => to.to_owned(),
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a seed that fails has to be known")]
fn headers_agree_with_netlify() {
    let (seed, cases) = (dice::seed(), dice::count(400, 20_000));
    println!("seed {seed}, {cases} files");
    let mut dice = Dice::new(seed ^ 0xbead);
    let Some(mut peer) = Peer::start() else { return };
    let (mut applied, mut told_alone) = (0, 0);
    for _ in 0..cases {
        let (headers, toml) = (generate::headers(&mut dice), generate::headers_toml(&mut dice));
        let asks: Vec<Request> = (0..20).map(|_| generate::request(&mut dice)).collect();
        let answer = peer.ask(&json!({ "kind": "headers", "headers": headers, "toml": toml, "asks": asks }));
        let place = format!("seed {seed}\n--- _headers\n{headers}\n--- netlify.toml\n{toml}\n---");
        assert_eq!(answer.get("thrown"), None, "{place} {answer}");
        let reading = read_netlify("", &headers, &toml);
        let errors = errors(&reading);
        assert_eq!(errors, answer["errors"], "{place} {:#?}", reading.rejects);
        told_alone += reading.rejects.len() - errors;
        assert_eq!(reading.rules.headers.len(), answer["blocks"].as_array().unwrap().len(), "{place}");
        for (ours, theirs) in reading.rules.headers.iter().zip(answer["blocks"].as_array().unwrap()) {
            assert_eq!(ours.path, theirs["for"], "{place}");
            let set: BTreeMap<_, _> = ours.set.iter().cloned().collect();
            assert_eq!(json!(set), theirs["values"], "{place}");
        }
        let rules = Rules::new(reading.rules);
        for (ask, theirs) in asks.iter().zip(answer["matches"].as_array().unwrap()) {
            let mut ours = BTreeMap::new();
            let header = |name: &str| ask.header(name);
            for change in rules.headers(&ask.ask(&header), 200).unwrap() {
                let HeaderChange::Set(name, value) = change else { panic!("{place} {change:?}") };
                ours.insert(name.to_owned(), value.into_owned());
            }
            assert_eq!(json!(ours), *theirs, "{place} {ask:?}");
            applied += usize::from(!ours.is_empty());
        }
    }
    println!("{} requests compared, {applied} of them met a block", cases * 20);
    assert!(applied * 5 > cases * 20, "most requests met no block: this compares nothing");
    assert!(told_alone > cases / 10, "hardly a line that Netlify passes over: this compares nothing of them");
}
