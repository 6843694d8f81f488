//! Requests that a site's rules pass on to another host.

use std::sync::Arc;
use std::time::Duration;

use skylift_edge::EdgeConfig;
use tokio::sync::Semaphore;

use crate::dsl::origin::{Origin, Reply, answer, bytes, ok};
use crate::dsl::{PATIENCE, Server, server, site};

/// An app `shop` that passes everything below `/api` on to an origin, which the owner of the platform allows.
async fn before(origin: &Origin) -> Server {
    configured(origin, |_| {}).await
}

async fn configured(origin: &Origin, configure: impl Fn(&mut EdgeConfig) + Send + Sync + 'static) -> Server {
    let address = origin.address;
    let site = site().file("index.html", "home").file("api/own.txt", "a file").redirects(&rules(address));
    server()
        .app("shop", site)
        .configure(move |config| {
            config.proxy.allow = vec![address.to_string().parse().unwrap()];
            configure(config);
        })
        .start()
        .await
}

fn rules(address: std::net::SocketAddr) -> String {
    format!("/api/*  http://{address}/v1/:splat  200\n/find term=:t  http://{address}/search?q=:t  200\n")
}

/// The header lines of a request that an origin got, without its first, in lower case and in order.
fn fields(request: &str) -> Vec<String> {
    let head = request.split("\r\n\r\n").next().unwrap();
    let mut lines: Vec<String> = head.split("\r\n").skip(1).map(str::to_lowercase).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn a_request_is_built_anew_and_the_answer_comes_back() {
    let origin = Origin::start(|_, _| {
        answer("201 Created", "Content-Type: text/plain\nX-Made: yes\nKeep-Alive: timeout=5\nSet-Cookie: a=b", "made")
    })
    .await;
    let server = before(&origin).await;
    let mut client = server.client().await;
    let request = "POST /api/things?x=1 HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 5\r\nCookie: c=d\r\n\
                   X-Forwarded-For: 6.6.6.6\r\nConnection: x-hop\r\nX-Hop: 1\r\nExpect: 100-continue\r\n\r\nhello";
    client.write(request.as_bytes()).await;
    let interim = client.read_head().await;
    assert_eq!(interim.status, 100);
    let made = client.read("POST").await;
    assert_eq!(made.short(), "201 made");
    assert_eq!((made.header("x-made"), made.header("keep-alive")), (Some("yes"), None));
    assert_eq!(made.header("set-cookie"), Some("a=b"));
    let seen = &origin.requests()[0];
    assert!(seen.starts_with("POST /v1/things?x=1 HTTP/1.1\r\n") && seen.ends_with("\r\n\r\nhello"), "{seen}");
    let mut lines = fields(seen);
    lines.retain(|line| !line.starts_with("x-request-id: r-"));
    let host = format!("host: {}", origin.address);
    assert_eq!(
        lines,
        [
            "cdn-loop: skylift",
            "content-length: 5",
            "cookie: c=d",
            host.as_str(),
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: shop.localhost",
            "x-forwarded-proto: http"
        ]
    );
}

#[tokio::test]
async fn files_go_first_and_whatever_is_no_file_is_passed_on() {
    let origin = Origin::start(|request, _| ok("", request.split(' ').nth(1).unwrap())).await;
    let server = before(&origin).await;
    assert_eq!(server.get("shop.localhost", "/api/own.txt").await.short(), "200 a file");
    assert_eq!(server.get("shop.localhost", "/api/a%20b/c?d=e%26").await.short(), "200 /v1/a%20b/c?d=e%26");
    assert_eq!(server.get("shop.localhost", "/find?term=x%26y%3Dz").await.short(), "200 /search?q=x%26y%3Dz");
    assert_eq!(server.head("shop.localhost", "/api/x", &[]).await.header("content-length"), Some("5"));
    assert_eq!(server.client().await.ask("POST", "shop.localhost", "/", &[("content-length", "0")]).await.status, 405);
}

#[tokio::test]
async fn private_addresses_are_reached_only_where_the_owner_lists_them() {
    let origin = Origin::start(|_, _| ok("", "secret")).await;
    let port = origin.address.port();
    let lines = format!(
        "/number http://127.0.0.1:{port}/ 200\n/name http://localhost:{port}/ 200\n/six http://[::1]:{port}/ 200\n\
         /mapped http://[::ffff:127.0.0.1]:{port}/ 200\n/port http://203.0.113.9:{port}/ 200\n/meta http://169.254.169.254/ 200\n"
    );
    let paths = ["/number", "/name", "/six", "/mapped", "/port", "/meta"];
    let closed = server().app("shop", site().redirects(&lines)).start().await;
    for path in paths {
        let refused = closed.get("shop.localhost", path).await;
        assert_eq!(refused.status, 502, "{path}");
        assert!(!refused.text().contains("127.0.0.1") && !refused.text().contains("private"), "{}", refused.text());
    }
    assert_eq!(origin.connections(), 0);
    assert!(closed.metrics_text().contains("skylift_edge_passed_on_total{outcome=\"refused\"} 6\n"));

    // The same without the check, which is what an entry of the owner's comes to.
    let open = server().app("shop", site().redirects(&lines)).configure(move |config| {
        config.proxy.allow =
            vec![format!("127.0.0.1:{port}").parse().unwrap(), format!("localhost:{port}").parse().unwrap()];
    });
    let open = open.start().await;
    assert_eq!(open.get("shop.localhost", "/number").await.short(), "200 secret");
    assert_eq!(open.get("shop.localhost", "/name").await.short(), "200 secret");
    assert_eq!(open.get("shop.localhost", "/meta").await.status, 502);
}

#[tokio::test]
async fn nothing_is_passed_on_to_the_platform_itself_or_twice() {
    let origin = Origin::start(|_, _| ok("", "once")).await;
    let server = before(&origin).await;
    let port = server.address.port();
    let lines = format!(
        "/self http://127.0.0.1:{port}/ 200\n/name http://blog.localhost:{port}/ 200\n/bare http://localhost:{port}/v1/apps 200\n"
    );
    let looping = crate::dsl::server().app("shop", site().redirects(&lines)).configure(move |config| {
        config.listen = ([127, 0, 0, 1], port).into();
        config.proxy.allow =
            ["127.0.0.1", "localhost", "*.localhost"].map(|host| format!("{host}:{port}").parse().unwrap()).to_vec();
    });
    // It answers where the rules lead, once the other one has ended.
    drop(server.stop().await);
    let looping = looping.start().await;
    for path in ["/self", "/name", "/bare"] {
        assert_eq!(looping.get("shop.localhost", path).await.status, 508, "{path}");
    }
    drop(looping.stop().await);

    let server = before(&origin).await;
    assert_eq!(server.get("shop.localhost", "/api/x").await.short(), "200 once");
    let again = server.get_with("shop.localhost", "/api/x", &[("cdn-loop", "cdn.example, skylift")]).await;
    assert_eq!((again.status, origin.requests().len()), (508, 1));
}

#[tokio::test]
async fn what_the_other_host_redirects_to_is_for_the_client_to_follow() {
    let origin = Origin::start(|_, _| answer("302 Found", "Location: http://169.254.169.254/latest", "")).await;
    let server = before(&origin).await;
    let redirect = server.get("shop.localhost", "/api/x").await;
    assert_eq!((redirect.status, redirect.header("location")), (302, Some("http://169.254.169.254/latest")));
}

#[tokio::test]
async fn parts_that_lead_out_of_a_rules_folder_are_not_passed_on() {
    let origin = Origin::start(|_, _| ok("", "")).await;
    let server = before(&origin).await;
    for path in ["/api/../admin", "/api/..%2fadmin", "/api/%2e%2e/admin", "/api/a%2f..%2f..%2fadmin", "/api/..;x/admin"]
    {
        assert_eq!(server.get("shop.localhost", path).await.status, 400, "{path}");
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn connections_are_kept_for_the_app_they_were_made_for() {
    let origin = Origin::start(|_, number| ok("", &number.to_string())).await;
    let address = origin.address;
    let spec = || site().redirects(&rules(address));
    let server = server().app("one", spec()).app("two", spec()).configure(move |config| {
        config.proxy.allow = vec![address.to_string().parse().unwrap()];
    });
    let server = server.start().await;
    for number in 1..=3 {
        assert_eq!(server.get("one.localhost", "/api/x").await.text(), number.to_string());
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(server.get("two.localhost", "/api/x").await.text(), "4");
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again_unless_it_only_reads() {
    // Every second request on a connection finds it closed.
    let origin = Origin::start(|_, number| match number {
        2 => Reply::End(Vec::new()),
        _ => ok("", &number.to_string()),
    });
    let origin = origin.await;
    let server = before(&origin).await;
    assert_eq!(server.get("shop.localhost", "/api/x").await.text(), "1");
    assert_eq!(server.get("shop.localhost", "/api/x").await.text(), "3", "asked again on a new connection");

    let origin = Origin::start(|_, number| match number {
        2 => Reply::End(Vec::new()),
        _ => ok("", &number.to_string()),
    });
    let origin = origin.await;
    let server = before(&origin).await;
    assert_eq!(server.get("shop.localhost", "/api/x").await.text(), "1");
    let post = server.send("POST /api/x HTTP/1.1\r\nhost: shop.localhost\r\ncontent-length: 2\r\n\r\nhi").await;
    assert_eq!((post.status, origin.requests().len()), (502, 2));
}

#[tokio::test]
async fn answers_that_are_none_are_502_and_touch_no_other_request() {
    let bad: [&[u8]; 8] = [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200",
    ];
    for bytes in bad {
        let origin = Origin::start(move |_, _| Reply::End(bytes.to_vec())).await;
        let server = before(&origin).await;
        let said = server.get("shop.localhost", "/api/x").await;
        assert_eq!(said.status, 502, "{}", String::from_utf8_lossy(bytes));
    }
    // Bytes after an answer belong to nobody.
    let origin = Origin::start(|_, number| {
        let mut said = bytes("200 OK", "", &number.to_string());
        said.extend(bytes("200 OK", "", "smuggled"));
        Reply::Say(said)
    });
    let origin = origin.await;
    let server = before(&origin).await;
    for _ in 0..20 {
        assert_ne!(server.get("shop.localhost", "/api/x").await.text(), "smuggled");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_never_looks_whole() {
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec();
    let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec();
    for said in [part, chunk] {
        let origin = Origin::start(move |_, _| Reply::End(said.clone())).await;
        let server = before(&origin).await;
        let mut client = server.client().await;
        client.write(b"GET /api/x HTTP/1.1\r\nhost: shop.localhost\r\n\r\n").await;
        // All of it at most, and then the end of the connection.
        let got = String::from_utf8(client.read_to_end().await).unwrap();
        assert!(!got.ends_with("0\r\n\r\n") && !got.contains("content-length: 4"), "{got}");
    }
}

#[tokio::test]
async fn a_host_that_says_nothing_is_504_and_one_that_stops_is_cut() {
    let origin = Origin::start(|request, _| match request.contains("/v1/half") {
        true => Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec()),
        false => Reply::Stall(Vec::new()),
    });
    let origin = origin.await;
    let server = configured(&origin, |config| config.proxy.timeout = Duration::from_millis(300)).await;
    let late = server.get("shop.localhost", "/api/never").await;
    assert_eq!(late.status, 504);
    assert!(late.text().contains("Try again"), "{}", late.text());
    assert!(!server.get("shop.localhost", "/api/half").await.complete);
}

#[tokio::test]
async fn chunks_and_large_bodies_pass_both_ways_up_to_a_limit() {
    let big = "x".repeat(3 << 20);
    let origin = Origin::start(move |request, _| {
        let body = request.split_once("\r\n\r\n").unwrap().1;
        ok("", &format!("{}{big}", body.len()))
    });
    let origin = origin.await;
    let server = configured(&origin, |config| config.proxy.request_bytes_max = 100).await;
    let mut client = server.client().await;
    let chunked =
        "POST /api/x HTTP/1.1\r\nhost: shop.localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    client.write(chunked.as_bytes()).await;
    let answer = client.read("POST").await;
    assert!(answer.complete && answer.body.len() == 2 + (3 << 20), "{}", answer.body.len());

    let announced = server.send("POST /api/x HTTP/1.1\r\nhost: shop.localhost\r\ncontent-length: 101\r\n\r\n").await;
    assert_eq!(announced.status, 413);
    let mut request =
        b"POST /api/x HTTP/1.1\r\nhost: shop.localhost\r\ntransfer-encoding: chunked\r\n\r\nc8\r\n".to_vec();
    request.extend([b'y'; 200]);
    request.extend(b"\r\n0\r\n\r\n");
    assert_eq!(server.send(request).await.status, 413);
}

#[tokio::test]
async fn a_websocket_is_refused_with_a_reason_and_h2c_is_not_heeded() {
    let origin = Origin::start(|_, _| ok("", "plain")).await;
    let server = before(&origin).await;
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    let refused = server.get_with("shop.localhost", "/api/x", &upgrade).await;
    assert!(refused.status == 501 && refused.text().contains("WebSocket"), "{refused:?}");
    let upgrade = [("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk")];
    assert_eq!(server.get_with("shop.localhost", "/api/x", &upgrade).await.short(), "200 plain");
    assert!(!origin.requests()[0].to_lowercase().contains("upgrade"));
}

#[tokio::test]
async fn more_than_the_connections_there_are_is_told_at_once() {
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let origin = Origin::start(move |_, _| Reply::Wait(held.clone(), bytes("200 OK", "", "late"))).await;
    let server = configured(&origin, |config| config.proxy.connections_max = 1).await;
    let mut first = server.client().await;
    first.write(b"GET /api/x HTTP/1.1\r\nhost: shop.localhost\r\n\r\n").await;
    tokio::time::timeout(PATIENCE, async {
        while origin.requests().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let second = server.get("shop.localhost", "/api/x").await;
    assert_eq!((second.status, second.header("retry-after")), (503, Some("5")));
    gate.add_permits(10);
    assert_eq!(first.read("GET").await.short(), "200 late");
    assert_eq!(server.get("shop.localhost", "/api/x").await.short(), "200 late", "the one connection serves again");
}

#[tokio::test]
async fn scheme_and_country_come_from_declared_proxies_alone() {
    let lines = "http://shop.localhost/* https://shop.localhost/:splat 301!\n/ /nl 302 Country=nl\n";
    let spec = || site().file("nl.html", "nl").file("x.html", "x").redirects(lines);
    let proxied = [("x-forwarded-proto", "https"), ("cf-ipcountry", "NL")];
    let trusting = server().app("shop", spec()).configure(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.country_header = Some(http::HeaderName::from_static("cf-ipcountry"));
    });
    let trusting = trusting.start().await;
    assert_eq!(trusting.get_with("shop.localhost", "/x", &proxied).await.short(), "200 x");
    assert_eq!(trusting.get_with("shop.localhost", "/", &proxied).await.header("location"), Some("/nl"));
    assert_eq!(trusting.get("shop.localhost", "/x").await.status, 301);
    let plain = server().app("shop", spec()).start().await;
    assert_eq!(plain.get_with("shop.localhost", "/x", &proxied).await.status, 301);
}
