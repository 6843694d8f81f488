//! Answers of other hosts that are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use skylift_bus::{Message, PurgeWhat};
use skylift_edge::EdgeConfig;
use tokio::sync::Semaphore;

use crate::dsl::origin::{Origin, Reply, answer, bytes, ok};
use crate::dsl::{Answer, PATIENCE, Server, SiteSpec, count, name, server, site};

const MINUTE: &str = "Cache-Control: max-age=60";

fn spec(origin: &Origin) -> SiteSpec {
    site().keeping().redirects(&format!("/* http://{}/:splat 200\n", origin.address))
}

async fn before(origin: &Origin) -> Server {
    configured(origin, |_| {}).await
}

async fn configured(origin: &Origin, configure: impl Fn(&mut EdgeConfig) + Send + Sync + 'static) -> Server {
    let address = origin.address;
    let server = server().app("shop", spec(origin)).app("blog", spec(origin)).configure(move |config| {
        config.proxy.allow = vec![address.to_string().parse().unwrap()];
        configure(config);
    });
    server.start().await
}

/// An origin that answers each request with its number.
async fn counting(headers: &'static str) -> Origin {
    Origin::start(move |_, number| ok(headers, &number.to_string())).await
}

async fn get(server: &Server, path: &str) -> Answer {
    server.get("shop.localhost", path).await
}

#[tokio::test]
async fn an_answer_is_kept_and_given_again_with_its_age() {
    let origin = counting("Cache-Control: max-age=60\nETag: \"a\"\nCache-Tag: one, two").await;
    let server = before(&origin).await;
    let first = get(&server, "/x").await;
    assert_eq!(
        (first.short().as_str(), first.header("cache-status")),
        ("200 1", Some("skylift; fwd=uri-miss; stored"))
    );
    let second = get(&server, "/x").await;
    assert_eq!(second.short(), "200 1");
    assert!(second.header("cache-status").unwrap().starts_with("skylift; hit; ttl="), "{second:?}");
    assert!(second.header("age").is_some() && first.header("age").is_none());
    assert_eq!((second.header("cache-tag"), second.header("content-length")), (None, Some("1")), "tags are for caches");
    let known = server.get_with("shop.localhost", "/x", &[("if-none-match", "\"a\"")]).await;
    assert_eq!((known.status, known.header("etag")), (304, Some("\"a\"")));
    assert_eq!(server.head("shop.localhost", "/x", &[]).await.header("content-length"), Some("1"));
    assert_eq!(origin.requests().len(), 1);
    let text = server.metrics_text();
    for line in [
        "skylift_edge_cache_total{result=\"hit\"} 3",
        "skylift_edge_cache_total{result=\"miss\"} 1",
        "skylift_edge_cache_answers 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn without_the_sites_leave_nothing_is_kept() {
    let origin = counting(MINUTE).await;
    let address = origin.address;
    let plain = site().redirects(&format!("/* http://{address}/:splat 200\n"));
    let server = server().app("shop", plain).configure(move |config| {
        config.proxy.allow = vec![address.to_string().parse().unwrap()];
    });
    let server = server.start().await;
    for number in 1..=3 {
        let answer = get(&server, "/x").await;
        assert_eq!((answer.text(), answer.header("cache-status")), (number.to_string().as_str(), None));
    }
    assert!(server.metrics_text().contains("skylift_edge_cache_answers 0\n"));
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn nothing_is_kept_of_a_site_that_keeps_nothing_whoever_asks_for_it() {
    let origin = Origin::start(|request, number| {
        let cookie = if request.contains("/sets") { "Set-Cookie: id=1\n" } else { "" };
        ok(&format!("{cookie}Cache-Control: public, max-age=60"), &number.to_string())
    });
    let origin = origin.await;
    let address = origin.address;
    let plain = site().redirects(&format!("/* http://{address}/:splat 200\n"));
    let server = server().app("shop", plain).configure(move |config| {
        config.proxy.allow = vec![address.to_string().parse().unwrap()];
    });
    let server = Arc::new(server.start().await);
    let (clients, all) = (8, count(800, 1_000_000));
    let (sum, each) = (Arc::<AtomicUsize>::default(), all / clients);
    let asking = (0..clients).map(|_| {
        let (server, sum) = (server.clone(), sum.clone());
        tokio::spawn(async move {
            let mut client = server.client().await;
            for number in 0..each {
                let (path, headers): (_, &[_]) = match number % 4 {
                    0 => ("/x", &[]),
                    1 => ("/x", &[("authorization", "Bearer x")]),
                    2 => ("/x", &[("cookie", "a=b")]),
                    _ => ("/sets", &[]),
                };
                let answer = client.ask("GET", "shop.localhost", path, headers).await;
                assert_eq!((answer.status, answer.header("cache-status")), (200, None));
                sum.fetch_add(answer.text().parse().unwrap(), Ordering::SeqCst);
            }
        })
    });
    for asked in asking.collect::<Vec<_>>() {
        asked.await.unwrap();
    }
    let all = each * clients;
    eprintln!(
        "figure: {all} requests to a site that keeps nothing, {} of them asked of the host behind",
        origin.asked()
    );
    assert_eq!(origin.asked(), all);
    assert_eq!(sum.load(Ordering::SeqCst), all * (all + 1) / 2, "each answer was given once");
    assert!(server.metrics_text().contains("skylift_edge_cache_answers 0\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn many_who_ask_at_once_ask_once() {
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let origin =
        Origin::start(move |_, number| Reply::Wait(held.clone(), bytes("200 OK", MINUTE, &number.to_string())));
    let origin = origin.await;
    // Each has a socket at either end.
    let many = count(500, 5_000);
    let server = configured(&origin, move |config| config.limits.connections_per_client_max = many).await;
    let server = Arc::new(server);
    let asking: Vec<_> = (0..many)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move { get(&server, "/x").await })
        })
        .collect();
    let connected = format!("skylift_edge_connections {many}\n");
    wait_until(|| server.metrics_text().contains(&connected) && origin.asked() == 1).await;
    gate.add_permits(2 * many);
    for answer in asking {
        assert_eq!(answer.await.unwrap().short(), "200 1");
    }
    eprintln!("figure: {many} who asked at once, {} asked of the host behind", origin.asked());
    assert_eq!(origin.asked(), 1);

    // The same with answers that may not be kept: nobody gets another one's.
    let origin = counting("Cache-Control: private, max-age=60").await;
    let server = Arc::new(before(&origin).await);
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move { get(&server, "/x").await })
        })
        .collect();
    let mut seen = std::collections::HashSet::new();
    for answer in asking {
        assert!(seen.insert(answer.await.unwrap().text().to_owned()), "each has an answer of its own");
    }
    assert_eq!(origin.requests().len(), 50);
}

/// Those who come just as the answer does: neither kept when they look, nor asked for any more when they join.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_just_as_an_answer_is_kept_does_not_ask_for_it_again() {
    let origin = counting(MINUTE).await;
    let server = Arc::new(before(&origin).await);
    let (clients, rounds) = (16, count(300, 10_000));
    let together = Arc::new(tokio::sync::Barrier::new(clients));
    let asking = (0..clients).map(|_| {
        let (server, together) = (server.clone(), together.clone());
        tokio::spawn(async move {
            let mut client = server.client().await;
            for round in 0..rounds {
                together.wait().await;
                assert_eq!(client.ask("GET", "shop.localhost", &format!("/{round}"), &[]).await.status, 200);
            }
        })
    });
    for asked in asking.collect::<Vec<_>>() {
        asked.await.unwrap();
    }
    assert_eq!(origin.asked(), rounds, "each round asked once");
}

async fn wait_until(holds: impl Fn() -> bool) {
    tokio::time::timeout(PATIENCE, async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it comes to hold");
}

#[tokio::test]
async fn credentials_and_cookies_are_never_kept_or_answered_from_what_is() {
    let origin = Origin::start(|request, number| {
        let cookie = if request.contains("/sets") { "Set-Cookie: id=1\n" } else { "" };
        ok(&format!("{cookie}Cache-Control: public, max-age=60"), &number.to_string())
    });
    let origin = origin.await;
    let server = before(&origin).await;
    for round in 0..3 {
        let n = |offset: usize| (round * 4 + offset).to_string();
        assert_eq!(server.get_with("shop.localhost", "/x", &[("cookie", "a=b")]).await.text(), n(1));
        assert_eq!(server.get_with("shop.localhost", "/x", &[("authorization", "Bearer x")]).await.text(), n(2));
        assert_eq!(get(&server, "/sets").await.text(), n(3));
        // A request with a body is about that body.
        let fat = server.send("GET /x HTTP/1.1\r\nhost: shop.localhost\r\ncontent-length: 2\r\n\r\nhi").await;
        assert_eq!(fat.text(), n(4));
    }
    assert!(server.metrics_text().contains("skylift_edge_cache_answers 0\n"));
    assert_eq!(get(&server, "/x").await.text(), "13");
    let with_cookie = server.get_with("shop.localhost", "/x", &[("cookie", "a=b")]).await;
    assert_eq!(with_cookie.header("cache-status"), Some("skylift; fwd=bypass; detail=credentials"));
    assert_eq!(with_cookie.text(), "14");
}

#[tokio::test]
async fn a_body_sent_to_what_is_kept_is_never_the_next_request() {
    let origin = counting(MINUTE).await;
    let server = before(&origin).await;
    assert_eq!(get(&server, "/x").await.text(), "1");
    let hidden = "GET /hidden HTTP/1.1\r\nhost: shop.localhost\r\n\r\n";
    for (method, expect) in [("GET", ""), ("HEAD", ""), ("GET", "expect: 100-continue\r\n"), ("POST", "")] {
        let length = hidden.len();
        let request =
            format!("{method} /x HTTP/1.1\r\nhost: shop.localhost\r\n{expect}content-length: {length}\r\n\r\n{hidden}");
        let mut client = server.client().await;
        client.write(request.as_bytes()).await;
        client.write(b"GET /seen HTTP/1.1\r\nhost: shop.localhost\r\nconnection: close\r\n\r\n").await;
        client.read_to_end().await;
        let asked = origin.requests();
        assert!(!asked.iter().any(|request| request.starts_with("GET /hidden")), "{method} {expect}: {asked:?}");
    }
    // The control: bytes that no length covers are a request.
    let mut client = server.client().await;
    let plain = format!("HEAD /x HTTP/1.1\r\nhost: shop.localhost\r\n\r\n{hidden}");
    client.write(plain.as_bytes()).await;
    client.end().await;
    client.read_to_end().await;
    assert!(origin.requests().iter().any(|request| request.starts_with("GET /hidden")));
}

#[tokio::test]
async fn apps_hosts_schemes_queries_and_rules_have_answers_of_their_own() {
    let origin = counting(MINUTE).await;
    let address = origin.address;
    let lines = format!("/nl/* http://{address}/:splat?l=1 200 Language=nl\n/* http://{address}/:splat 200\n");
    let server =
        server().app("shop", site().keeping().redirects(&lines)).app("blog", spec(&origin)).configure(move |config| {
            config.proxy.allow = vec![address.to_string().parse().unwrap()];
            config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        });
    let server = server.start().await;
    let one = crate::dsl::id(1).to_string();
    let own_address = format!("{one}.localhost");
    let https = [("x-forwarded-proto", "https")];
    for _ in 0..2 {
        assert_eq!(get(&server, "/x").await.text(), "1");
        assert_eq!(server.get("blog.localhost", "/x").await.text(), "2");
        assert_eq!(server.get(&own_address, "/x").await.text(), "3");
        assert_eq!(server.get_with("shop.localhost", "/x", &https).await.text(), "4");
        assert_eq!(get(&server, "/x?y").await.text(), "5");
        assert_eq!(server.get_with("shop.localhost", "/nl/x", &[("accept-language", "nl")]).await.text(), "6");
        assert_eq!(get(&server, "/nl/x").await.text(), "7", "a rule looked at what no answer names");
        assert_eq!(server.get("SHOP.localhost.:8080", "/x").await.text(), "1");
    }
}

#[tokio::test]
async fn what_no_answer_names_cannot_poison_it() {
    // A server that believes such fields, and says nothing of it.
    let origin = Origin::start(|request, _| {
        let request = request.to_lowercase();
        let evil = request.lines().filter(|line| line.contains("evil")).collect::<Vec<_>>().join(" ");
        ok(MINUTE, &format!("fine{evil}"))
    });
    let origin = origin.await;
    let server = before(&origin).await;
    let names = [
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-scheme",
        "x-forwarded-port",
        "forwarded",
        "x-host",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-forwarded-server",
        "x-original-host",
    ];
    for (number, field) in names.iter().enumerate() {
        let path = format!("/{number}");
        server.get_with("shop.localhost", &path, &[(field, "evil")]).await;
        assert_eq!(get(&server, &path).await.text(), "fine", "{field}");
    }
    assert_eq!(origin.requests().len(), names.len(), "they were kept");
}

#[tokio::test]
async fn a_release_finds_nothing_and_so_does_going_back() {
    let origin = counting(MINUTE).await;
    let server = before(&origin).await;
    assert_eq!(get(&server, "/x").await.text(), "1");
    server.deploy("shop", 7, spec(&origin).file("new.txt", "new")).await;
    assert_eq!(get(&server, "/x").await.text(), "2");
    // The first one again.
    server.deploy("shop", 8, spec(&origin)).await;
    assert_eq!(get(&server, "/x").await.text(), "3");
    assert_eq!(server.get("blog.localhost", "/x").await.text(), "4");
}

async fn purge(server: &Server, app: &str, what: PurgeWhat) {
    let mut heard = server.bus.subscribe();
    server.bus.publish(Message::Purge(name(app), what, 7));
    let done = heard.wait_for(|message| matches!(message, Message::Purged(7, _)));
    tokio::time::timeout(PATIENCE, done).await.expect("purged in time");
}

#[tokio::test]
async fn a_purge_drops_what_it_means_and_what_is_on_its_way() {
    let origin = counting("Cache-Control: max-age=60\nCache-Tag: all, x").await;
    let server = before(&origin).await;
    let texts = async || {
        let mut texts = Vec::new();
        for (host, path) in [("shop.localhost", "/a"), ("shop.localhost", "/b"), ("blog.localhost", "/a")] {
            texts.push(server.get(host, path).await.text().to_owned());
        }
        texts.join(" ")
    };
    assert_eq!(texts().await, "1 2 3");
    purge(&server, "shop", PurgeWhat::Path("/a".to_owned())).await;
    assert_eq!(texts().await, "4 2 3");
    purge(&server, "shop", PurgeWhat::Tag("x".to_owned())).await;
    assert_eq!(texts().await, "5 6 3");
    purge(&server, "blog", PurgeWhat::Everything).await;
    assert_eq!(texts().await, "5 6 7");
    purge(&server, "blog", PurgeWhat::Tag("y".to_owned())).await;
    assert_eq!(texts().await, "5 6 7");

    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let origin =
        Origin::start(move |_, number| Reply::Wait(held.clone(), bytes("200 OK", MINUTE, &number.to_string())));
    let origin = origin.await;
    let server = before(&origin).await;
    let mut early = server.client().await;
    early.write(b"GET /x HTTP/1.1\r\nhost: shop.localhost\r\n\r\n").await;
    wait_until(|| origin.requests().len() == 1).await;
    purge(&server, "shop", PurgeWhat::Everything).await;
    gate.add_permits(10);
    assert_eq!(early.read("GET").await.text(), "1");
    assert_eq!(get(&server, "/x").await.text(), "2", "what was asked for before the purge is not kept after it");
}

#[tokio::test]
async fn whatever_changes_a_thing_drops_what_is_kept_of_it() {
    let origin = Origin::start(|request, number| match request.starts_with("GET") {
        true => ok(MINUTE, &number.to_string()),
        false if request.contains("/fails") => answer("500 No", "", ""),
        false => answer("201 Created", "Location: /made\nContent-Location: http://shop.localhost/also", ""),
    });
    let origin = origin.await;
    let server = before(&origin).await;
    for (path, number) in [("/x", "1"), ("/made", "2"), ("/also", "3"), ("/fails", "4")] {
        assert_eq!(get(&server, path).await.text(), number);
    }
    let mut client = server.client().await;
    for (path, status) in [("/x", 201), ("/fails", 500)] {
        assert_eq!(client.ask("POST", "shop.localhost", path, &[("content-length", "0")]).await.status, status);
    }
    for (path, number) in [("/x", "7"), ("/made", "8"), ("/also", "9"), ("/fails", "4")] {
        assert_eq!(get(&server, path).await.text(), number, "{path}");
    }
}

#[tokio::test]
async fn an_old_answer_is_confirmed_or_stands_in() {
    let origin = Origin::start(|request, number| match number {
        1 => ok("Cache-Control: max-age=0, stale-if-error=600\nETag: \"a\"", "one"),
        2 if request.to_lowercase().contains("if-none-match: \"a\"") => Reply::Say(
            b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=0, stale-if-error=600\r\nX-New: 1\r\n\r\n".to_vec(),
        ),
        3 => answer("503 No", "", "down"),
        4 => Reply::End(Vec::new()),
        _ => ok("Cache-Control: no-store", "never"),
    });
    let origin = origin.await;
    let server = before(&origin).await;
    assert_eq!(get(&server, "/x").await.text(), "one");
    let confirmed = get(&server, "/x").await;
    assert_eq!((confirmed.text(), confirmed.header("x-new")), ("one", Some("1")));
    assert!(confirmed.header("cache-status").unwrap().contains("fwd=stale; fwd-status=304"), "{confirmed:?}");
    for _ in 3..=4 {
        let stood_in = get(&server, "/x").await;
        assert_eq!((stood_in.status, stood_in.text()), (200, "one"));
    }
    assert_eq!(get(&server, "/x").await.text(), "never");
    assert!(server.metrics_text().contains("skylift_edge_cache_answers 0\n"), "what says so is not kept any longer");
}

#[tokio::test]
async fn an_old_answer_is_given_while_one_asks_for_a_newer() {
    let gate = Arc::new(Semaphore::new(1));
    let held = gate.clone();
    let origin = Origin::start(move |_, number| {
        Reply::Wait(
            held.clone(),
            bytes("200 OK", "Cache-Control: max-age=0, stale-while-revalidate=600", &number.to_string()),
        )
    });
    let origin = origin.await;
    let server = before(&origin).await;
    assert_eq!(get(&server, "/x").await.text(), "1");
    for _ in 0..5 {
        assert_eq!(get(&server, "/x").await.text(), "1", "nobody waits");
    }
    wait_until(|| origin.requests().len() == 2).await;
    gate.add_permits(100);
    let newer = tokio::time::timeout(PATIENCE, async {
        loop {
            let text = get(&server, "/x").await.text().to_owned();
            if text != "1" {
                return text;
            }
        }
    });
    assert!(newer.await.unwrap().parse::<usize>().unwrap() >= 2);
}

#[tokio::test]
async fn a_slow_client_holds_up_nobody_and_one_that_leaves_is_not_missed() {
    let body = "x".repeat(3 << 20);
    let origin = Origin::start(move |_, _| ok(MINUTE, &body)).await;
    let server = before(&origin).await;
    let mut slow = server.client().await;
    slow.write(b"GET /x HTTP/1.1\r\nhost: shop.localhost\r\n\r\n").await;
    assert_eq!(slow.read_head().await.status, 200);
    assert_eq!(get(&server, "/x").await.body.len(), 3 << 20);
    assert_eq!(slow.read_body(3 << 20).await.len(), 3 << 20);

    let mut leaving = server.client().await;
    leaving.write(b"GET /y HTTP/1.1\r\nhost: shop.localhost\r\n\r\n").await;
    assert_eq!(leaving.read_head().await.status, 200);
    drop(leaving);
    wait_until(|| server.metrics_text().contains("skylift_edge_cache_answers 2\n")).await;
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn what_is_too_large_passes_through_whole() {
    let body = "x".repeat(500_000);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\n{MINUTE}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let origin = Origin::start(move |request, _| match request.contains("/chunked") {
        true => Reply::Say(chunked.clone().into_bytes()),
        false => ok(MINUTE, &body),
    });
    let origin = origin.await;
    let server = configured(&origin, |config| config.cache.answer_bytes_max = 100_000).await;
    for path in ["/x", "/chunked"] {
        for _ in 0..2 {
            let answer = get(&server, path).await;
            assert!(answer.complete && answer.body.len() == 500_000, "{path} {}", answer.body.len());
        }
    }
    assert_eq!(origin.requests().len(), 4);
    assert!(server.metrics_text().contains("skylift_edge_cache_answers 0\n"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_kept() {
    let origin = Origin::start(|_, number| match number {
        1 => Reply::End(format!("HTTP/1.1 200 OK\r\n{MINUTE}\r\nContent-Length: 10\r\n\r\nhalf").into_bytes()),
        _ => ok(MINUTE, "whole"),
    });
    let origin = origin.await;
    let server = before(&origin).await;
    let mut client = server.client().await;
    client.write(b"GET /x HTTP/1.1\r\nhost: shop.localhost\r\n\r\n").await;
    let got = String::from_utf8(client.read_to_end().await).unwrap();
    assert!(!got.contains("whole"), "{got}");
    assert_eq!(get(&server, "/x").await.text(), "whole");
}

#[tokio::test]
async fn a_part_is_given_of_what_is_kept_and_asked_for_where_nothing_is() {
    let origin = Origin::start(|request, _| match request.to_lowercase().contains("range: bytes=2-3") {
        true => answer("206 Partial Content", "Content-Range: bytes 2-3/10\nCache-Control: max-age=60", "23"),
        false => ok("Cache-Control: max-age=60\nETag: \"a\"", "0123456789"),
    });
    let origin = origin.await;
    let server = before(&origin).await;
    let part = [("range", "bytes=2-3")];
    let asked = server.get_with("shop.localhost", "/x", &part).await;
    assert_eq!((asked.short().as_str(), asked.header("cache-status")), ("206 23", Some("skylift; fwd=partial")));
    assert_eq!(get(&server, "/x").await.text(), "0123456789");
    let kept = server.get_with("shop.localhost", "/x", &part).await;
    assert_eq!((kept.short().as_str(), kept.header("content-range")), ("206 23", Some("bytes 2-3/10")));
    let other = server.get_with("shop.localhost", "/x", &[("range", "bytes=2-3"), ("if-range", "\"b\"")]).await;
    assert_eq!(other.short(), "200 0123456789");
    let beyond = server.get_with("shop.localhost", "/x", &[("range", "bytes=20-")]).await;
    assert_eq!(beyond.status, 416);
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn only_if_cached_and_late_followers_do_not_wait_for_ever() {
    let origin = Origin::start(|_, _| Reply::Stall(Vec::new())).await;
    let server = configured(&origin, |config| config.proxy.timeout = Duration::from_millis(200)).await;
    let only = server.get_with("shop.localhost", "/x", &[("cache-control", "only-if-cached")]).await;
    assert_eq!((only.status, origin.requests().len()), (504, 0));
    let (one, two) = tokio::join!(get(&server, "/x"), get(&server, "/x"));
    assert_eq!((one.status, two.status), (504, 504));
}
