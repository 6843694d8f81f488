//! What one client may use, and how the edge ends.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::dsl::{resident_bytes, server, site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_addresses_and_heads_are_refused() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    let long = |bytes: usize| format!("/?{}", "a".repeat(bytes - 2));
    assert_eq!(server.get("hello.localhost", &long(8 << 10)).await.short(), "200 hi");
    assert_eq!(server.get("hello.localhost", &long((8 << 10) + 1)).await.status, 414);
    assert_eq!(server.get("localhost", &long((8 << 10) + 1)).await.status, 414, "the control plane too");
    let megabyte = server.get("hello.localhost", &long(1 << 20)).await.status;
    assert!(matches!(megabyte, 414 | 431), "{megabyte}");
    let cookie = "c".repeat(20 << 10);
    assert_eq!(server.get_with("hello.localhost", "/", &[("cookie", &cookie)]).await.status, 200);
    let cookie = "c".repeat(33 << 10);
    assert_eq!(server.get_with("hello.localhost", "/", &[("cookie", &cookie)]).await.status, 431);
    for field in ["cookie", "x-a", "referer"] {
        let value = "v".repeat(64 << 10);
        assert_eq!(server.get_with("hello.localhost", "/", &[(field, &value)]).await.status, 431, "64 KiB of {field}");
    }
    let many = vec![("x-a", "b"); 10_000];
    assert_eq!(server.get_with("hello.localhost", "/", &many).await.status, 431);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_of_a_hundred_megabytes_is_cut_off_and_fills_no_memory() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    let before = resident_bytes();
    let piece = vec![b'c'; 64 << 10];
    for head in
        ["GET / HTTP/1.1\r\nhost: hello.localhost\r\ncookie: ", "GET /?", "POST / HTTP/1.1\r\nhost: localhost\r\nx: "]
    {
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut taken = 0;
        while taken < 100 << 20 && stream.write_all(&piece).await.is_ok() {
            taken += piece.len();
        }
        assert!(taken < 100 << 20, "{head:?}: all of it was taken");
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 hi");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_end_is_cut_off() {
    let server = server()
        .app("hello", site().file("index.html", "hi"))
        .configure(|config| config.limits.head_timeout = Duration::from_millis(300))
        .start()
        .await;
    let mut slow = server.client().await;
    slow.write(b"GET / HTTP/1.1\r\nhost: hello.local").await;
    let mut idle = server.client().await;
    assert!(slow.is_closed().await);
    assert!(idle.is_closed().await);
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 hi");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let server = server()
        .app("hello", site().file("index.html", "hi"))
        .configure(|config| config.limits.connections_max = 2)
        .start()
        .await;
    let mut first = server.client().await;
    let mut second = server.client().await;
    assert_eq!(first.ask("GET", "hello.localhost", "/", &[]).await.status, 200);
    assert_eq!(second.ask("GET", "hello.localhost", "/", &[]).await.status, 200);
    let mut third = server.client().await;
    third.write(b"GET / HTTP/1.1\r\nhost: hello.localhost\r\n\r\n").await;
    let waits = tokio::time::timeout(Duration::from_millis(200), third.read("GET")).await;
    assert!(waits.is_err(), "there is no place yet");
    drop(first);
    assert_eq!(third.read("GET").await.short(), "200 hi");
    assert_eq!(second.ask("GET", "hello.localhost", "/", &[]).await.status, 200, "undisturbed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_what_is_in_flight_and_takes_nothing_new() {
    let big: Vec<u8> = (0..48_000_000_u32).map(|n| (n % 239) as u8).collect();
    let mut server = server().app("hello", site().file("index.html", "hi").file("big.bin", &big)).start().await;
    let mut idle = server.client().await;
    assert_eq!(idle.ask("GET", "hello.localhost", "/", &[]).await.status, 200);
    let mut busy = server.client().await;
    busy.write(b"GET /big.bin HTTP/1.1\r\nhost: hello.localhost\r\n\r\n").await;
    assert_eq!(busy.read_head().await.status, 200);
    let first = busy.read_body(1_000).await;

    server.begin_stop();
    assert!(idle.is_closed().await, "idle connections are closed at once");
    let address = server.address;
    let mut body = first;
    body.extend(busy.read_body(big.len() - body.len()).await);
    assert!(body == big, "the download ends");
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_does_not_hold_up_shutdown() {
    let big = vec![7; 48_000_000];
    let server = server()
        .app("hello", site().file("big.bin", &big))
        .configure(|config| config.limits.drain_timeout = Duration::from_millis(200))
        .start()
        .await;
    let mut stuck = server.client().await;
    stuck.write(b"GET /big.bin HTTP/1.1\r\nhost: hello.localhost\r\n\r\n").await;
    assert_eq!(stuck.read_head().await.status, 200);
    server.stop().await;
    assert!(stuck.read_body(big.len()).await.len() < big.len(), "it was cut, and can tell by the length");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_one_connection_and_nothing_else() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    let mut other = server.client().await;
    assert_eq!(other.ask("GET", "hello.localhost", "/", &[]).await.status, 200);
    let mut unlucky = server.client().await;
    unlucky.write(b"GET /panic HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(unlucky.is_closed().await);
    assert_eq!(other.ask("GET", "hello.localhost", "/", &[]).await.status, 200);
    assert!(server.get("localhost", "/").await.text().starts_with("control"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_sets_thousands_of_fields_gets_as_many_as_a_head_may_have() {
    let block =
        |number: usize| (0..60).fold("/*\n".to_owned(), |block, field| format!("{block}  x-{number}-{field}: v\n"));
    let lines: String = (0..450).map(block).collect();
    let large =
        (0..100).fold("/*\n".to_owned(), |block, field| format!("{block}  x-{}: {}\n", field % 60, "v".repeat(4000)));
    for lines in [lines, large] {
        let server = server().app("hello", site().file("index.html", "hi").headers(&lines)).start().await;
        let mut client = server.client().await;
        for _ in 0..2 {
            let answer = client.ask("GET", "hello.localhost", "/", &[]).await;
            assert_eq!(answer.short(), "200 hi", "on one connection");
            assert!(answer.header("x-0-0").or(answer.header("x-0")).is_some());
        }
    }
}
