//! Requests that two readers could understand differently are refused, or understood in one way only.
//!
//! The oracle: the control plane counts what it was given (`control …` once for each), so bytes that one reader takes for
//! a body and another for a second request would show.

use crate::dsl::{Server, server, site};

/// What the server says to some bytes until it closes: the statuses, and whether it closed.
async fn statuses(server: &Server, bytes: &[u8]) -> (Vec<u16>, String) {
    let mut client = server.client().await;
    client.write(bytes).await;
    client.end().await;
    let said = client.read_to_end().await;
    let text = String::from_utf8_lossy(&said).into_owned();
    let statuses = text.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok()).collect();
    (statuses, text)
}

/// Every one of these frames its message in a way that is wrong or doubtful; `GET /smuggled` hides behind each.
fn smuggling() -> Vec<String> {
    let mut requests = Vec::new();
    let lengths = ["+5", "0x5", "5,5", "5, 6", "-1", "5 5", "18446744073709551616", "5.0", "", "five"];
    for length in lengths {
        requests.push(format!("content-length: {length}"));
    }
    for (first, second) in [("5", "6"), ("6", "5"), ("0", "5")] {
        requests.push(format!("content-length: {first}\r\ncontent-length: {second}"));
    }
    let codings = [
        "xchunked",
        "identity",
        "gzip",
        "chunked, identity",
        "identity, chunked, gzip",
        "\"chunked\"",
        "chunke\u{b}d",
        "chunked\u{0}",
        ", chunked, x",
    ];
    for coding in codings {
        requests.push(format!("transfer-encoding: {coding}"));
        requests.push(format!("transfer-encoding: {coding}\r\ncontent-length: 5"));
    }
    for name in [
        "transfer-encoding ",
        " transfer-encoding",
        "transfer\u{0}-encoding",
        "transfer-encoding\t",
        "transfer\u{e9}-encoding",
        "transfer-encoding\r",
        "content-length ",
        "content\u{7f}-length",
        "content-length\t",
        "\u{b}content-length",
    ] {
        requests.push(format!("{name}: chunked"));
        requests.push(format!("content-length: 5\r\n{name}: 7"));
    }
    for fold in ["\r\n ", "\r\n\t", "\r ", "\n "] {
        requests.push(format!("transfer-encoding:{fold}chunked"));
        requests.push(format!("x: y{fold}transfer-encoding: chunked"));
    }
    requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubtful_framing_is_refused_and_nothing_behind_it_is_read() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    let mut refused = 0;
    for host in ["localhost", "hello.localhost"] {
        for header in smuggling() {
            for method in ["GET", "POST"] {
                let behind = "GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
                let request = format!("{method} / HTTP/1.1\r\nhost: {host}\r\n{header}\r\n\r\n{behind}");
                let (statuses, text) = statuses(&server, request.as_bytes()).await;
                assert!(!text.contains("control /smuggled"), "{request:?}: {text}");
                assert!(statuses.len() <= 1 && statuses.iter().all(|status| *status >= 400), "{request:?}: {text}");
                refused += 1;
            }
        }
    }
    assert!(refused > 200, "{refused}");
    // The control: the same bytes behind a request that is framed clearly are a request.
    let plain = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert!(statuses(&server, plain.as_bytes()).await.1.contains("control /smuggled"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_lengths_at_once_are_one_request_at_most() {
    let server = server().start().await;
    for (first, second) in
        [("content-length: 4", "transfer-encoding: chunked"), ("transfer-encoding: chunked", "content-length: 4")]
    {
        let behind = "GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let request =
            format!("POST /outer HTTP/1.1\r\nhost: localhost\r\n{first}\r\n{second}\r\n\r\n0\r\n\r\n{behind}");
        let (statuses, text) = statuses(&server, request.as_bytes()).await;
        assert!(!text.contains("control /smuggled"), "{request:?}: {text}");
        assert!(statuses.len() <= 1 || statuses[1] >= 400, "{request:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_heads_are_refused() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    let host = "host: hello.localhost\r\n";
    for request in [
        format!("GET / HTTP/1.1\r\n{host}x\u{0}y: z\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x: a\u{0}b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x: a\rb\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x y: z\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x\u{7f}: z\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}\u{e9}: z\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}: z\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}nocolon\r\n\r\n"),
        "GET / HTTP/1.1\r\nhost : hello.localhost\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{host} folded: x\r\n\r\n"),
        format!("GET / HTTP/3.0\r\n{host}\r\n"),
        format!("GET / HTTP/1.1.1\r\n{host}\r\n"),
        format!("GET / http/1.1\r\n{host}\r\n"),
        format!("GET /\r\n{host}\r\n"),
        format!("GET\t/ HTTP/1.1\r\n{host}\r\n"),
        format!("GET / x HTTP/1.1\r\n{host}\r\n"),
        format!("G\u{0}T / HTTP/1.1\r\n{host}\r\n"),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\r\n\r\n".to_owned(),
    ] {
        let (statuses, text) = statuses(&server, request.as_bytes()).await;
        assert_eq!(statuses, [400], "{request:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_nobody_reads_is_not_the_next_request() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    let behind = "GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for expect in [
        "",
        "expect: 100-continue\r\n",
        "expect: y 100-continue\r\n",
        "expect: 100-continue\r\nexpect: 100-continue\r\n",
    ] {
        for method in ["GET", "HEAD", "POST"] {
            for (host, path) in [("hello.localhost", "/"), ("hello.localhost", "/nope"), ("nobody.localhost", "/")] {
                let length = behind.len();
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{expect}content-length: {length}\r\n\r\n{behind}"
                );
                let (_, text) = statuses(&server, request.as_bytes()).await;
                assert!(!text.contains("control /smuggled"), "{request:?}: {text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_are_read_strictly() {
    let server = server().start().await;
    let behind = "GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for body in [
        "0\n\r\n",
        "0\r\n\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nx",
        "-1\r\nx",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
    ] {
        let request =
            format!("POST /outer HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{body}{behind}");
        let (_, text) = statuses(&server, request.as_bytes()).await;
        assert!(!text.contains("control /smuggled"), "{body:?}: {text}");
    }
    let long_extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(1 << 20));
    let request = format!(
        "POST /outer HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{long_extension}{behind}"
    );
    assert!(!statuses(&server, request.as_bytes()).await.1.contains("control /smuggled"));
    let fine = format!(
        "POST /outer HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nx: y\r\n\r\n{behind}"
    );
    assert!(statuses(&server, fine.as_bytes()).await.1.contains("control /smuggled"), "the control");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_to_http2_is_not_heeded_and_bytes_behind_it_stay_requests() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    let request = "GET / HTTP/1.1\r\nhost: hello.localhost\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
                   http2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let (statuses, text) = statuses(&server, request.as_bytes()).await;
    assert_eq!(statuses[0], 200, "{text}");
    assert!(!text.contains("101 "), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_proxy_may_say_changes_nothing() {
    let server = server()
        .app("hello", site().file("index.html", "hi"))
        .app("other", site().file("index.html", "no"))
        .start()
        .await;
    let plain = server.get("hello.localhost", "/").await;
    for claim in [
        "x-forwarded-host",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-real-ip",
        "forwarded",
        "via",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x_forwarded_host",
        "x-skylift-app",
        "x_skylift_app",
        "x-host",
    ] {
        for value in ["other.localhost", "localhost", "/nope", "DELETE", "for=127.0.0.1;host=other.localhost"] {
            let claimed = server.get_with("hello.localhost", "/", &[(claim, value)]).await;
            assert_eq!(claimed.short(), plain.short(), "{claim}: {value}");
            assert_eq!(claimed.lasting_headers(), plain.lasting_headers(), "{claim}: {value}");
        }
    }
    let hop = [("connection", "x-skylift-user, authorization, keep-alive"), ("authorization", "Bearer x")];
    assert!(
        server.get_with("localhost", "/", &hop).await.text().contains("authorization"),
        "not for a client to take out"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order_and_one_at_a_time() {
    let mut spec = site();
    for number in 0..100 {
        spec = spec.file(&format!("{number}.txt"), format!("<{number}>"));
    }
    let server = server().app("hello", spec).start().await;
    let ask = |number: u32| {
        // Every seventh is not plain, so that the strict implementation takes over in the middle.
        let odd = if number.is_multiple_of(7) && number > 20 { "range: bytes=0-99\r\n" } else { "" };
        format!("GET /{number}.txt HTTP/1.1\r\nhost: hello.localhost\r\n{odd}\r\n")
    };
    let all: String = (0..100).map(ask).collect();
    for piece in [1, 7, 64, 1000, all.len()] {
        let mut client = server.client().await;
        for bytes in all.as_bytes().chunks(piece) {
            client.write(bytes).await;
        }
        for number in 0..100 {
            assert_eq!(client.read("GET").await.text(), format!("<{number}>"), "in pieces of {piece}");
        }
    }
}
