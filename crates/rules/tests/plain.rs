//! What is said of a path alone is what is said to every request for it.

#[path = "support/dice.rs"]
mod dice;
#[path = "support/generate.rs"]
mod generate;

use dice::Dice;
use skylift_rules::{Ask, Decision, Dialect, FileExists, PLAIN_BYTES_MAX, RuleSet, Rules, Sources, read};

/// How often something was said of a path alone, how often nothing was, and how often that was right: the file was not sent.
#[derive(Debug, Default)]
struct Tally {
    plain: usize,
    odd: usize,
    overruled: usize,
}

impl Tally {
    /// Compares what is said of a request's path with what is said to the request.
    fn compare(&mut self, rules: &Rules, ask: &Ask<'_>, place: &str) {
        let decision = rules.decide(ask, FileExists::Yes);
        let Some(changes) = rules.plain(ask.path) else {
            self.odd += 1;
            self.overruled += usize::from(decision != Decision::Serve);
            return;
        };
        self.plain += 1;
        assert_eq!(decision, Decision::Serve, "{place}\n{ask:?}");
        for status in [200, 304] {
            assert_eq!(rules.headers(ask, status).as_ref(), Some(&changes), "{place}\n{ask:?}");
        }
    }

    fn is_telling(&self) {
        let all = self.plain + self.odd;
        assert!(self.plain * 10 > all && self.odd * 10 > all && self.overruled > 0, "{self:?}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a seed that fails has to be known")]
fn generated_rules_say_the_same_of_a_path_as_of_every_request_for_it() {
    let (seed, cases) = (dice::seed(), dice::count(2_000, 200_000));
    println!("seed {seed}, {cases} files");
    let (mut dice, mut tally) = (Dice::new(seed), Tally::default());
    for _ in 0..cases {
        let redirects = generate::redirects(&mut dice);
        let toml = generate::redirects_toml(&mut dice) + &generate::headers_toml(&mut dice);
        let headers = generate::headers(&mut dice);
        let rules = Rules::new(
            read(&Sources {
                redirects: Some(redirects.as_bytes()),
                headers: Some(headers.as_bytes()),
                netlify_toml: Some(toml.as_bytes()),
                ..Sources::default()
            })
            .rules,
        );
        let place =
            format!("seed {seed}\n--- _redirects\n{redirects}\n--- _headers\n{headers}\n--- netlify.toml\n{toml}");
        for _ in 0..10 {
            let request = generate::request(&mut dice);
            let header = |name: &str| request.header(name);
            tally.compare(&rules, &request.ask(&header), &place);
        }
    }
    println!("{tally:?}");
    tally.is_telling();
}

fn cloudflare(redirects: &str, headers: &str) -> RuleSet {
    let (redirects, headers) = (Some(redirects.as_bytes()), Some(headers.as_bytes()));
    read(&Sources { dialect: Dialect::Cloudflare, redirects, headers, ..Sources::default() }).rules
}

fn vercel(json: &str) -> RuleSet {
    read(&Sources { vercel_json: Some(json.as_bytes()), ..Sources::default() }).rules
}

fn netlify(redirects: &str) -> RuleSet {
    read(&Sources { redirects: Some(redirects.as_bytes()), ..Sources::default() }).rules
}

/// The paths of which something is said.
fn plain_of<'p>(rules: &Rules, paths: &[&'p str]) -> Vec<&'p str> {
    let header = |name: &str| match name {
        "cookie" => Some("guest=1"),
        "accept-language" => Some("de"),
        "x-beta" => Some("yes"),
        _ => None,
    };
    let mut tally = Tally::default();
    for path in paths {
        for (host, query, country) in [
            ("a.example", None, None),
            ("h.example", Some("id=1&q=x"), Some("de")),
            ("o.example", Some("x"), Some("us")),
        ] {
            tally.compare(rules, &Ask { scheme: "http", host, path, query, country, header: &header }, "");
            tally.compare(rules, &Ask { scheme: "https", host, path, query, country, header: &|_| None }, "");
        }
    }
    paths.iter().copied().filter(|path| rules.plain(path).is_some()).collect()
}

const PATHS: &[&str] = &["/", "/about", "/old", "/docs/a", "/docs/a/", "/page.html", "/Docs/A", "/a%62out"];

#[test]
fn a_rule_that_overrules_no_file_leaves_every_file_plain() {
    let unforced =
        netlify("/old /about\n/docs/* /:splat\n/about /x 302 Language=de\n/ id=:id /y 302\n/* /index.html 200\n");
    assert_eq!(plain_of(&Rules::new(unforced), PATHS), PATHS[..7], "but for an escape");
    let forced = netlify("/old /about 301!\n/docs/* /login 200! Cookie=guest\n/page.html /x 301 Role=admin\n");
    assert_eq!(plain_of(&Rules::new(forced), PATHS), ["/", "/about", "/Docs/A"]);
}

#[test]
fn every_rule_of_cloudflares_overrules_files_and_a_host_is_more_than_a_path() {
    let redirects = "/old /about\n/docs/* /:splat\n";
    let headers = "/*\n  X-A: 1\n/docs/:name\n  X-B: :name\n";
    let rules = Rules::new(cloudflare(redirects, headers));
    assert_eq!(plain_of(&rules, PATHS), ["/", "/about", "/page.html", "/Docs/A"]);
    let hosts = Rules::new(cloudflare("", "/*\n  X-A: 1\nhttps://h.example/*\n  X-B: 1\n"));
    assert_eq!(plain_of(&hosts, PATHS), [""; 0]);
}

#[test]
fn entries_of_vercels_with_conditions_are_left_to_the_whole_request() {
    let rules = Rules::new(vercel(
        r#"{"cleanUrls": true, "trailingSlash": false,
            "redirects": [{"source": "/old", "destination": "/about", "has": [{"type": "host", "value": "o.example"}]}],
            "rewrites": [{"source": "/(.*)", "destination": "/index.html"}],
            "headers": [{"source": "/(.*)", "headers": [{"key": "x-a", "value": "$1"}]},
                        {"source": "/about", "has": [{"type": "header", "key": "x-beta"}],
                         "headers": [{"key": "x-b", "value": "1"}]}]}"#,
    ));
    assert_eq!(plain_of(&rules, PATHS), ["/", "/docs/a", "/Docs/A"]);
}

#[test]
fn what_a_long_request_may_cost_is_not_said_of_its_path() {
    let condition = format!("Cookie={}", (0..600).map(|n| format!("c{n}")).collect::<Vec<_>>().join(","));
    let rules = Rules::new(netlify(&format!("/dear /x 302 {condition}\n/cheap /x 302 Cookie=c\n")));
    assert!(rules.plain("/cheap").is_some() && rules.plain("/dear").is_none());
    let cookies = "x".repeat(PLAIN_BYTES_MAX);
    let header = |name: &str| (name == "cookie").then_some(cookies.as_str());
    let ask = |path| Ask { scheme: "http", host: "h.example", path, query: None, country: None, header: &header };
    assert_eq!(rules.decide(&ask("/cheap"), FileExists::Yes), Decision::Serve);
    assert_eq!(rules.decide(&ask("/dear"), FileExists::Yes), Decision::Denied, "control: that is why");
}
