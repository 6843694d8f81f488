//! What files make of requests, as the conventions state it.

use std::fmt::Write as _;

use skylift_rules::{Ask, Decision, Dialect, FileExists, HeaderChange, Reading, RuleSet, Rules, Sources, read};

/// A request in one line: an address, then `name=value` of header fields, `country=`, and `file` where one exists.
fn decide(rules: &Rules, request: &str) -> String {
    let mut words = request.split(' ');
    let address = words.next().unwrap();
    let words: Vec<&str> = words.collect();
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let (host, rest) = rest.split_at(rest.find('/').unwrap());
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let value = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let host = if host.is_empty() { "site.example" } else { host };
    let ask = Ask { scheme, host, path, query, country: value("country"), header: &|name| value(name) };
    let file = if words.contains(&"file") { FileExists::Yes } else { FileExists::No };
    match rules.decide(&ask, file) {
        Decision::Serve => "serve".into(),
        Decision::Denied => "denied".into(),
        Decision::Redirect { status, location } => format!("{status} -> {location}"),
        Decision::Rewrite { path, query, status } => {
            format!("{status} {path}{}", query.map_or(String::new(), |q| format!("?{q}")))
        }
        Decision::Proxy { url, headers } => format!("proxy {url} {headers:?}"),
    }
}

fn check(rules: &RuleSet, cases: &[(&str, &str)]) {
    // What is kept with a deployment decides as what was read.
    let kept: RuleSet = serde_json::from_str(&serde_json::to_string(rules).unwrap()).unwrap();
    assert_eq!(kept, *rules);
    let rules = Rules::new(kept);
    for (request, expected) in cases {
        assert_eq!(decide(&rules, request), *expected, "{request}");
    }
}

fn redirects(text: &str) -> Reading {
    read(&Sources { redirects: Some(text.as_bytes()), ..Sources::default() })
}

fn cloudflare(redirects: &str, headers: &str) -> Reading {
    let dialect = Dialect::Cloudflare;
    read(&Sources {
        dialect,
        redirects: Some(redirects.as_bytes()),
        headers: Some(headers.as_bytes()),
        ..Sources::default()
    })
}

fn vercel(text: &str) -> Reading {
    read(&Sources { vercel_json: Some(text.as_bytes()), ..Sources::default() })
}

fn rejects(reading: &Reading) -> String {
    reading.rejects.iter().fold(String::new(), |mut all, reject| {
        writeln!(all, "{reject}").unwrap();
        all
    })
}

#[test]
fn netlify_redirects_decide_as_the_conventions_state() {
    let reading = redirects(
        "# comment\n/home / # why\n/news/* /blog/:splat\n/frag /b#frag\n/old/:id /new/:id 302!\n/store id=:id /blog/:id 301\n\
         /app/* /app/index.html 200\n/api/* https://api.example/:splat 200!\n/gone /410.html 410\n/forward/* 200\n\
         /c /us 302 Country=us,ca\n/c /de 302 Language=de\n/c /known 302 Cookie=seen\n/c /world\n/admin/* /admin/:splat 200! Role=a\n\
         http://blog.example/* https://www.example/blog/:splat 301!\n/same /same 200\n/slash /slash/\n/loop/* /loop/:splat 301\n",
    );
    assert_eq!(rejects(&reading), "");
    check(
        &reading.rules,
        &[
            ("/home", "301 -> /"),
            ("/home/", "301 -> /"),
            ("/Home", "serve"),
            ("/home file", "serve"),
            ("/news", "301 -> /blog/"),
            ("/news/2024/a?x=1", "301 -> /blog/2024/a?x=1"),
            ("/newsx", "serve"),
            ("/frag", "301 -> /b#frag"),
            ("/frag?x=1", "301 -> /b?x=1#frag"),
            ("/old/7 file", "302 -> /new/7"),
            ("/old/%41%2f", "302 -> /new/A"),
            ("/store?z=1&id=7", "301 -> /blog/7?z=1&id=7"),
            ("/store", "serve"),
            ("/app/deep/link?q=1", "200 /app/index.html?q=1"),
            ("/app/main.js file", "serve"),
            ("/api/v1/x?y=z file", "proxy https://api.example/v1/x?y=z []"),
            ("/gone", "410 /410.html"),
            ("/forward/a", "200 /forward/a"),
            ("/c country=US", "302 -> /us"),
            ("/c country=fr accept-language=de-AT,de;q=0.9", "302 -> /de"),
            ("/c cookie=a=b;seen=1", "302 -> /known"),
            ("/c cookie=nf_country=ca", "302 -> /us"),
            ("/c", "301 -> /world"),
            ("/admin/x", "denied"),
            ("/admin/x file", "denied"),
            ("http://blog.example/a", "301 -> https://www.example/blog/a"),
            ("https://blog.example/a", "serve"),
            ("/same", "200 /same"),
            ("/slash", "301 -> /slash/"),
            ("/slash/", "serve"),
            ("/loop/a", "serve"),
        ],
    );
}

#[test]
fn rejected_lines_are_told_with_their_numbers_and_the_others_apply() {
    let reading = redirects(
        "/a\n/b c\n/ok /fine\n/c /d abc\n/.netlify/x /y\n/e //evil.example\n/f /\\evil.example\n/g/*/*/h /i\n/j/*.html /k\n/l /m 301 Foo=1\n/n /o 999\n\
         /p https://x.example 200 Sign=KEY\n",
    );
    assert_eq!(
        rejects(&reading),
        "_redirects:1: the target is missing — `/a`\n\
         _redirects:2: the target has to begin with `/`, `http://` or `https://` — `/b c`\n\
         _redirects:4: `abc` is no status code — `/c /d abc`\n\
         _redirects:5: the path may not begin with `/.netlify` — `/.netlify/x /y`\n\
         _redirects:6: a target that begins with `//` or `/\\` leads to another host; write it with `https://` — `/e`\n\
         _redirects:7: a target that begins with `//` or `/\\` leads to another host; write it with `https://` — `/f`\n\
         _redirects:8: a rule may have one `*`, at the end of a part of the path; this one can never match — `/g/*/*/h`\n\
         _redirects:9: a rule may have one `*`, at the end of a part of the path; this one can never match — `/j/*.html`\n\
         _redirects:10: the condition `Foo` is unknown, so the rule could never match — `/l`\n\
         _redirects:11: a status of 999 cannot be sent with a page or as a redirect — `/n`\n\
         _redirects:12: signed proxying is not supported — `/p`\n"
    );
    check(&reading.rules, &[("/ok", "301 -> /fine")]);
}

#[test]
fn the_file_goes_before_netlify_toml() {
    let toml = "[[redirects]]\nfrom = \"/a\"\nto = \"/toml\"\n\n[[redirects]]\nfrom = \"/b\"\nto = \"/t\"\nstatus = \"x\"\n\
                [[redirects]]\nfrom = \"/p/*\"\nto = \"https://p.example/:splat\"\nstatus = 200\nforce = true\nheaders = {X-From = \"us\"}\n";
    let (redirects, toml) = (Some("/a /file\n".as_bytes()), Some(toml.as_bytes()));
    let reading = read(&Sources { redirects, netlify_toml: toml, ..Sources::default() });
    assert_eq!(rejects(&reading), "netlify.toml:5: `x` is no status code — `/b`\n");
    check(&reading.rules, &[("/a", "301 -> /file"), ("/p/x file", "proxy https://p.example/x [(\"x-from\", \"us\")]")]);
    let broken = read(&Sources { netlify_toml: Some(b"a = 1\nb = [\n"), ..Sources::default() });
    assert!(rejects(&broken).starts_with("netlify.toml:"), "{}", rejects(&broken));
}

#[test]
fn cloudflare_redirects_follow_cloudflare() {
    let mut text = String::from("/first /1\n/first /2\n/a /b\n/p/:id /q/:id 301\n/n/* /m/:splat 200\n");
    text.push_str("/* /index.html 200\n/x /y 404\n/z https://z.example 200\n/only-one\n/one two three four\nhttps://h.example/a /b\n/w ftp://x\n/late /dyn\n");
    let reading = cloudflare(&text, "");
    assert_eq!(
        rejects(&reading),
        "_redirects:2: the path has a rule already — `/first /2`\n\
         _redirects:6: the rule would redirect to itself for ever — `/* /index.html 200`\n\
         _redirects:7: the status has to be 200, 301, 302, 303, 307 or 308 — `/x /y 404`\n\
         _redirects:8: rewrites (200) lead to paths of the site only — `/z https://z.example 200`\n\
         _redirects:9: expected 2 or 3 words, found 1 — `/only-one`\n\
         _redirects:10: expected 2 or 3 words, found 4 — `/one two three four`\n\
         _redirects:11: the path has to begin with `/`; addresses with a host are not supported here — `https://h.example/a /b`\n\
         _redirects:12: addresses have to begin with `/` or `https://`, without a port — `/w ftp://x`\n"
    );
    check(
        &reading.rules,
        &[
            ("/first file", "302 -> /1"),
            ("/a?x=1", "302 -> /b?x=1"),
            ("/a/", "serve"),
            ("/p/7", "301 -> /q/7"),
            ("/n/x/y", "200 /m/x/y"),
            ("/n", "serve"),
            ("/late", "302 -> /dyn"),
        ],
    );
}

#[test]
fn cloudflare_stops_at_its_limits() {
    let mut text: String = (0..2001).map(|n| format!("/s{n} /t\n")).collect();
    text.extend((0..102).map(|n| format!("/d{n}/* /t\n")));
    let reading = cloudflare(&text, "");
    assert_eq!(reading.rules.redirects.len(), 2100);
    assert_eq!(reading.rejects.len(), 2, "{}", rejects(&reading));
    assert!(rejects(&cloudflare(&format!("/a /{}\n", "b".repeat(2000)), "")).contains("longer than 2000"));
}

fn fields(rules: &Rules, path: &str, status: u16) -> String {
    let ask = Ask { scheme: "https", host: "site.example", path, query: None, country: None, header: &|_| None };
    let told = rules.headers(&ask, status).unwrap().into_iter().map(|change| match change {
        HeaderChange::Set(name, value) => format!("{name}={value}"),
        HeaderChange::Append(name, value) => format!("{name}+={value}"),
        HeaderChange::Remove(name) => format!("-{name}"),
    });
    told.collect::<Vec<_>>().join("; ")
}

#[test]
fn netlify_headers_add_up() {
    let headers = "  X-Early: 1\n/*\n  X-A: 1\n  x-a: 2\n  Cache-Control: max-age=60\n/a/*\n\tX-A: 3\n  no colon\n: x\n  X-Empty:\n  Content-Length: 7\n  Basic-Auth: u:p\n  X Y: 1\n# /b\n";
    let toml = "[[headers]]\nfor = \"/a/b\"\n[headers.values]\nX-B = [\"1\", \"2\"]\nServer = \"me\"\n";
    let (headers, toml) = (Some(headers.as_bytes()), Some(toml.as_bytes()));
    let reading = read(&Sources { headers, netlify_toml: toml, ..Sources::default() });
    assert_eq!(
        rejects(&reading),
        "_headers:1: the header stands before any path — `X-Early: 1`\n\
         _headers:8: neither a path, which begins with `/`, nor a header, which is `Name: value`; what follows is for the path before it — `no colon`\n\
         _headers:9: the header has no name — `: x`\n\
         _headers:10: the header has no value — `X-Empty:`\n\
         _headers:11: `content-length` is set by the platform alone — `Content-Length: 7`\n\
         _headers:12: `Basic-Auth` is not supported: the files are public — `Basic-Auth: u:p`\n\
         _headers:13: `X Y` is no name of a header — `X Y: 1`\n\
         netlify.toml:1: `server` is set by the platform alone — `Server`\n"
    );
    let rules = Rules::new(reading.rules);
    assert_eq!(fields(&rules, "/", 200), "x-a=1, 2; cache-control=max-age=60");
    assert_eq!(fields(&rules, "/A/B/", 200), "x-a=1, 2; cache-control=max-age=60; x-a=3; x-b=1, 2");
    assert_eq!(fields(&rules, "/", 404), "x-a=1, 2", "a 404 is kept by nobody");
    assert_eq!(fields(&rules, "/", 500), "", "errors are not the site's own");
}

#[test]
fn lines_of_headers_that_netlify_passes_over_are_told() {
    let headers =
        "/y\n/*\n  BadHeaderNoColon\n  X-All: 1\nnopath\n  X-A: 1\n/twice\n/twice\n  Date: x\n/z\n# the end\n";
    let reading = read(&Sources { headers: Some(headers.as_bytes()), ..Sources::default() });
    let neither = "neither a path, which begins with `/`, nor a header, which is `Name: value`; what follows is for the path before it";
    assert_eq!(
        rejects(&reading),
        format!(
            "_headers:1: the path has no headers — `/y`\n\
             _headers:3: {neither} — `BadHeaderNoColon`\n\
             _headers:5: {neither} — `nopath`\n\
             _headers:7: the path has no headers — `/twice`\n\
             _headers:9: `date` is set by the platform alone — `Date: x`\n\
             _headers:10: the path has no headers — `/z`\n"
        )
    );
    assert_eq!(fields(&Rules::new(reading.rules), "/z", 200), "x-all=1; x-a=1", "what applies is as it was");
    let fine = read(&Sources { headers: Some(b"# c\n\n/a\n  X-A: 1\n\n/b\n  X-B: 2"), ..Sources::default() });
    assert_eq!(rejects(&fine), "");
}

#[test]
fn settings_without_effect_are_told_with_what_has_one() {
    let json = r#"{
  "$schema": "https://openapi.vercel.sh/vercel.json", "version": 2, "name": "x", "framework": null, "public": true,
  "env": { "A": "1" },
  "crons": [],
  "installCommand": null,
  "functions": { "api/x.js": {} },
  "regions": ["fra1"],
  "cleanUrls": true
}"#;
    let reading = vercel(json);
    assert_eq!(
        rejects(&reading),
        "vercel.json:3: `env` has no effect: use `[env]` in skylift.toml, for secrets `skylift env set`\n\
         vercel.json:4: `crons` has no effect: nothing is run at set times\n\
         vercel.json:6: `functions` has no effect: functions are not run; a program is, see `[run]` of skylift.toml\n\
         vercel.json:7: `regions` has no effect: nothing here does the same\n"
    );
    assert!(reading.rules.vercel.is_some_and(|vercel| vercel.clean_urls), "the others apply");

    let toml = "[build]\nbase = \"web\"\n[build.environment]\nA = \"1\"\n\n[context.production]\n  command = \"x\"\n\
                [context.branch.environment]\nB = \"2\"\n[[plugins]]\npackage = \"p\"\n[[edge_functions]]\npath = \"/*\"\n\
                [functions]\ndirectory = \"f\"\n[dev]\nport = 1\n[[redirects]]\nfrom = \"/a\"\nto = \"/b\"\n";
    let reading = read(&Sources { netlify_toml: Some(toml.as_bytes()), ..Sources::default() });
    assert_eq!(
        rejects(&reading),
        "netlify.toml:2: `build.base` has no effect: use `root` in skylift.toml, or `skylift deploy --dir`\n\
         netlify.toml:3: `build.environment` has no effect: use `[env]` in skylift.toml, for secrets `skylift env set`, and for NODE_VERSION `node` of its \
         `[build]`\n\
         netlify.toml:6: `context` has no effect: what stands outside of it counts for every deployment\n\
         netlify.toml:10: `plugins` has no effect: what they do to the build is for `[build] command` in skylift.toml\n\
         netlify.toml:12: `edge_functions` has no effect: functions are not run; a program is, see `[run]` of skylift.toml\n\
         netlify.toml:14: `functions` has no effect: functions are not run; a program is, see `[run]` of skylift.toml\n"
    );
    check(&reading.rules, &[("/a", "301 -> /b")]);
    // Other ways to write it, and what is no table.
    let dotted = |toml: &str| rejects(&read(&Sources { netlify_toml: Some(toml.as_bytes()), ..Sources::default() }));
    assert!(dotted("build.base = \"x\"\n").starts_with("netlify.toml:1: `build.base` has no effect"));
    assert!(dotted("\nbuild = { base = \"x\" }\n").starts_with("netlify.toml:2: `build.base` has no effect"));
    assert_eq!(dotted("build = 1\n"), "");
    assert_eq!(dotted("[[headers]]\nfor = \"/*\"\n[headers.values]\nX-A = \"1\"\n"), "");
}

#[test]
fn cloudflare_headers_add_up() {
    let headers = "/*\n X-A: 1\n/a/:name\n X-A: 2\n X-Name: :name!\n ! Cache-Control\nhttps://site.example/a/*\n x-host: :splat\n/two/*/*\n X: 1\n/none\n/p\n ! ETag\n nonsense\n";
    let reading = cloudflare("", headers);
    assert_eq!(
        rejects(&reading),
        "_headers:9: only one `*` is allowed, and none beside `:splat` — `/two/*/*`\n\
         _headers:11: the path has no headers — `/none`\n\
         _headers:12: the path has no headers — `/p`\n\
         _headers:13: `etag` is set by the platform alone — `! ETag`\n\
         _headers:14: expected `name: value` or `! name` — `nonsense`\n"
    );
    let rules = Rules::new(reading.rules);
    assert_eq!(fields(&rules, "/b", 200), "x-a=1");
    assert_eq!(fields(&rules, "/a/x", 200), "x-a=1; -cache-control; x-a+=2; x-name=x!; x-host=x");
    assert_eq!(fields(&rules, "/A/x", 200), "x-a=1");
}

#[test]
fn vercel_json_is_followed_in_vercels_order() {
    let reading = vercel(
        r#"{
  "cleanUrls": true, "trailingSlash": false, "buildCommand": "x",
  "redirects": [
    { "source": "/old/:path*", "destination": "/new/:path*" },
    { "source": "/temp", "destination": "https://t.example/", "permanent": false },
    { "source": "/lang", "destination": "/de/:who", "has": [{ "type": "query", "key": "who" }] },
    { "source": "/bad/:x", "destination": "/:y" },
    { "source": "/both", "destination": "/", "permanent": true, "statusCode": 301 }
  ],
  "rewrites": [
    { "source": "/api/:rest*", "destination": "https://api.example/:rest*" },
    { "source": "/((?!assets/).*)", "destination": "/index.html" },
    { "source": "/(a+)+\\1", "destination": "/" }
  ],
  "headers": [{ "source": "/(.*)", "headers": [{ "key": "X-P", "value": "$1" }, { "key": "Date", "value": "x" }] },
              { "source": "/s/(.*)", "headers": [{ "key": "X-P", "value": "$1" }] }]
}"#,
    );
    assert_eq!(
        rejects(&reading),
        "vercel.json:7: `:y` is in the destination, but not in the source — `{ \"source\": \"/bad/:x\", \"destination\": \"/:y\" }`\n\
         vercel.json:8: `permanent` and `statusCode` exclude each other — `{ \"source\": \"/both\", \"destination\": \"/\", \"permanent\": true, \"statusCode\": 301 }`\n\
         vercel.json:13: the expression cannot be used: references to groups (`\\1`, `\\k<name>`) are not supported — `{ \"source\": \"/(a+)+\\\\1\", \"destination\": \"/\" }`\n\
         vercel.json:15: `date` is set by the platform alone — `{ \"source\": \"/(.*)\", \"headers\": [{ \"key\": \"X-P\", \"value\": \"$1\" }, { \"key\": \"Date\", \"value\": \"x\" }] }`\n"
    );
    assert_eq!(fields(&Rules::new(reading.rules.clone()), "/s/1", 200), "x-p=1");
    check(
        &reading.rules,
        &[
            ("/a.html?x=1 file", "308 -> /a?x=1"),
            ("/docs/index.html file", "308 -> /docs"),
            ("/index", "308 -> /"),
            ("/a/ file", "308 -> /a"),
            ("/old/x/y", "308 -> /new/x/y"),
            ("/OLD/x file", "308 -> /new/x"),
            ("/temp", "307 -> https://t.example/"),
            ("/lang?who=me%2f%2f", "308 -> /de/me%2F%2F?who=me%2f%2f"),
            ("/a file", "serve"),
            ("/api/v1/x?y=1", "proxy https://api.example/v1/x?y=1 []"),
            ("/deep/link", "200 /index.html"),
            ("/assets/x.js", "serve"),
        ],
    );
}
