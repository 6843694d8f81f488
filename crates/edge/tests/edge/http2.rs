//! HTTP/2 without TLS, by prior knowledge: the same answers, and no more room for attacks.

use std::time::{Duration, Instant};

use crate::dsl::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, PING, RST_STREAM, SETTINGS, Verdict, WINDOW_UPDATE,
    block, frame, get,
};
use crate::dsl::{Server, resident_bytes, server, site};

async fn start() -> Server {
    start_with_idle(Duration::from_secs(2)).await
}

async fn start_with_idle(idle: Duration) -> Server {
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 241) as u8).collect();
    server()
        .app("hello", site().file("index.html", "hi").file("big.bin", big))
        .configure(move |config| {
            config.limits.write_timeout = Duration::from_millis(700);
            config.limits.idle_timeout = idle;
        })
        .start()
        .await
}

async fn verdict(server: &Server, headers: &[(&str, &str)]) -> Verdict {
    let mut client = Http2::connect(server.address, &[]).await;
    client.ask(1, headers).await;
    client.verdict(1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_the_control_plane_are_reached() {
    let server = start().await;
    let mut client = Http2::connect(server.address, &[]).await;
    client.ask(1, &get("HELLO.localhost:80", "/")).await;
    assert_eq!(client.body(1).await, b"hi");
    client.ask(3, &get("localhost", "/v1/apps")).await;
    let said = String::from_utf8(client.body(3).await).unwrap();
    assert!(said.starts_with("control /v1/apps 127.0.0.1 ") && said.ends_with("host"), "{said}");
    for number in 0..100 {
        client.ask(5 + 2 * number, &get("hello.localhost", "/")).await;
    }
    assert_eq!(client.body(5 + 2 * 99).await, b"hi", "many at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_would_mean_something_else_elsewhere_are_refused() {
    let server = start().await;
    assert_eq!(verdict(&server, &get("hello.localhost", "/")).await, Verdict::Ok, "the control");
    for (name, value) in [
        ("x", "a\r\nb: c"),
        ("x", "a\nb"),
        ("x", "a\u{0}b"),
        ("x\r\ny", "z"),
        ("X-Upper", "z"),
        ("x y", "z"),
        ("x:y", "z"),
        ("", "z"),
        ("transfer-encoding", "chunked"),
        ("connection", "keep-alive"),
        ("upgrade", "h2c"),
        ("host", "localhost"),
        ("host", "other.localhost"),
        (":authority", "localhost"),
        (":path", "/other"),
        (":unknown", "x"),
        ("te", "gzip"),
    ] {
        let mut headers = get("hello.localhost", "/");
        headers.push((name, value));
        assert_ne!(verdict(&server, &headers).await, Verdict::Ok, "{name:?}: {value:?}");
    }
    for (name, value) in [
        (":method", "GET / HTTP/1.1\r\nx: y"),
        (":path", "/\r\nx: y"),
        (":path", ""),
        (":path", "about"),
        (":path", "/a b"),
        (":authority", "hello.localhost\r\nx: y"),
        (":authority", "user@hello.localhost"),
        (":authority", "hello.localhost, localhost"),
        (":authority", "hello.localhost:99999"),
        (":authority", ""),
        (":scheme", "ftp"),
    ] {
        let headers: Vec<_> =
            get("hello.localhost", "/").into_iter().map(|(n, v)| (n, if n == name { value } else { v })).collect();
        assert_ne!(verdict(&server, &headers).await, Verdict::Ok, "{name:?}: {value:?}");
    }
    let mut long = Http2::connect(server.address, &[]).await;
    let mut headers = get("localhost", "/");
    headers.push(("content-length", "5"));
    long.send(&frame(HEADERS, END_HEADERS, 1, &block(&headers))).await;
    long.send(&frame(DATA, END_STREAM, 1, b"longer than that")).await;
    // The answer may have been made before the body was looked at; what matters is that it is no second request.
    assert_ne!(long.verdict(3).await, Verdict::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_end_and_without_measure_are_refused() {
    let server = start().await;
    let huge = "h".repeat(8 << 20);
    let mut client = Http2::connect(server.address, &[]).await;
    let mut headers = get("hello.localhost", "/");
    headers.push(("x", &huge));
    let block_of_all = block(&headers);
    let mut pieces = block_of_all.chunks(16_000);
    client.send(&frame(HEADERS, END_STREAM, 1, pieces.next().unwrap())).await;
    for piece in pieces {
        if !client.send(&frame(CONTINUATION, 0, 1, piece)).await {
            break;
        }
    }
    assert_ne!(client.verdict(1).await, Verdict::Ok);

    let mut flood = Http2::connect(server.address, &[]).await;
    flood.send(&frame(HEADERS, END_STREAM, 1, &block(&get("hello.localhost", "/")))).await;
    for _ in 0..100_000 {
        if !flood.send(&frame(CONTINUATION, 0, 1, b"")).await {
            break;
        }
    }
    assert_ne!(flood.verdict(1).await, Verdict::Ok, "CONTINUATION without end");
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 hi");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_and_resetting_without_end_ends_the_connection() {
    // Nothing else may end it.
    let server = start_with_idle(Duration::from_secs(600)).await;
    let headers = block(&get("hello.localhost", "/big.bin"));
    for attack in ["reset by the client", "reset by the server's own rules"] {
        let mut client = Http2::connect(server.address, &[]).await;
        let mut ended = false;
        'attack: for round in 0..500_u32 {
            let mut bytes = Vec::new();
            for number in 0..100 {
                let stream = 1 + 2 * (round * 100 + number);
                bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &headers));
                match attack {
                    "reset by the client" => bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())),
                    // A window that is too large makes the server reset the stream.
                    _ => bytes.extend(frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes())),
                }
            }
            if !client.send(&bytes).await {
                ended = true;
                break 'attack;
            }
        }
        assert!(ended || client.ends().await, "{attack}");
        assert_eq!(server.get("hello.localhost", "/").await.short(), "200 hi");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_small_frames_do_not_fill_memory_or_keep_others_out() {
    let server = start().await;
    let before = resident_bytes();
    for (kind, payload) in [(PING, &[0; 8][..]), (SETTINGS, &[0, 3, 0, 0, 0, 1][..])] {
        let mut client = Http2::connect(server.address, &[]).await;
        let flood = frame(kind, 0, 0, payload).repeat(1000);
        for _ in 0..200 {
            // Its answers are never read.
            if !client.send(&flood).await {
                break;
            }
        }
        let began = Instant::now();
        assert_eq!(server.get("hello.localhost", "/").await.short(), "200 hi");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    let mut client = Http2::connect(server.address, &[]).await;
    client.send(&frame(HEADERS, END_HEADERS, 1, &block(&get("localhost", "/")))).await;
    let empty = frame(DATA, 0, 1, b"").repeat(1000);
    for _ in 0..100 {
        if !client.send(&empty).await {
            break;
        }
    }
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 hi");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_opens_no_window_is_cut_off() {
    let server = start().await;
    let before = resident_bytes();
    let mut clients = Vec::new();
    for window in [0, 1] {
        // SETTINGS_INITIAL_WINDOW_SIZE
        let mut client = Http2::connect(server.address, &[(4, window)]).await;
        for number in 0..100 {
            client.ask(1 + 2 * number, &get("hello.localhost", "/big.bin")).await;
        }
        clients.push(client);
    }
    for client in &mut clients {
        assert!(client.ends().await);
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    let mut idle = Http2::connect(server.address, &[]).await;
    assert!(idle.ends().await, "and so is one that asks for nothing");
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 hi");
}
