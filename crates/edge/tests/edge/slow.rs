//! Clients that are slow, many, or greedy are bounded, and others do not notice.

use std::time::Duration;

use skylift_edge::{Rate, Rates};

use crate::dsl::{server, site};

fn big() -> Vec<u8> {
    (0..30_000_000_u32).map(|n| (n % 241) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_kept_longer_than_heads_may_take() {
    let server = server()
        .app("hello", site().file("index.html", "hi"))
        .configure(|config| {
            config.limits.head_timeout = Duration::from_millis(200);
            config.limits.idle_timeout = Duration::from_secs(3);
        })
        .start()
        .await;
    // Both ways of serving: a plain request, and one for the strict implementation.
    for path in ["/", "/nope"] {
        let mut client = server.client().await;
        client.ask("GET", "hello.localhost", path, &[]).await;
        let waited = tokio::time::timeout(Duration::from_millis(800), client.is_closed()).await;
        assert!(waited.is_err(), "{path}: idle for longer than a head may take");
        client.ask("GET", "hello.localhost", path, &[]).await;
        client.write(b"GET / HTTP/1.1\r\nhost: hello.lo").await;
        let began = std::time::Instant::now();
        assert!(client.is_closed().await, "{path}: but a head that has begun must end");
        assert!(began.elapsed() < Duration::from_millis(2900), "{path}: and not by the idle time");
        let mut client = server.client().await;
        client.ask("GET", "hello.localhost", path, &[]).await;
        assert!(client.is_closed().await, "{path}: nobody idles for ever");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_drips_in_does_not_get_more_time_for_each_byte() {
    let server = server()
        .app("hello", site().file("index.html", "hi"))
        .configure(|config| config.limits.head_timeout = Duration::from_millis(400))
        .start()
        .await;
    for before in ["", "GET /nope HTTP/1.1\r\nhost: hello.localhost\r\n\r\n"] {
        let mut client = server.client().await;
        if !before.is_empty() {
            client.write(before.as_bytes()).await;
            client.read("GET").await;
        }
        let drip = async {
            loop {
                client.write(b"G").await;
                if tokio::time::timeout(Duration::from_millis(100), client.is_closed()).await.unwrap_or(false) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(15), drip).await.expect("closed while it drips");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_cut_off_and_one_that_is_slow_is_not() {
    let big = big();
    let server = server()
        .app("hello", site().file("index.html", "hi").file("big.bin", &big))
        .configure(|config| config.limits.write_timeout = Duration::from_millis(1500))
        .start()
        .await;
    for header in ["", "range: bytes=0-29999998\r\n"] {
        let ask = format!("GET /big.bin HTTP/1.1\r\nhost: hello.localhost\r\n{header}\r\n");
        let mut stuck = server.client().await;
        let mut slow = server.client().await;
        stuck.write(ask.as_bytes()).await;
        slow.write(ask.as_bytes()).await;
        assert!(stuck.read_head().await.status < 300);
        let length: usize = slow.read_head().await.header("content-length").unwrap().parse().unwrap();
        let mut taken = 0;
        while taken < length {
            let some = (length - taken).min(3_000_000);
            let body = slow.read_body(some).await;
            assert!(body == big[taken..taken + some], "{header}: a slow client gets every byte");
            taken += some;
            // Slower than the stuck one is allowed to be in all, but never without taking something.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(stuck.read_body(length).await.len() < length, "{header}: it was cut, and can tell by the length");
        assert_eq!(server.get("hello.localhost", "/").await.short(), "200 hi");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stops_coming_ends_its_request() {
    let server = server().configure(|config| config.limits.body_timeout = Duration::from_millis(300)).start().await;
    let mut client = server.client().await;
    client.write(b"POST /read HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nhello").await;
    assert_eq!(client.read("POST").await.text(), "read cut");
    let mut whole = server.client().await;
    whole.write(b"POST /read HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello").await;
    assert_eq!(whole.read("POST").await.text(), "read 5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_cannot_take_every_connection() {
    let server = server()
        .app("hello", site().file("index.html", "hi"))
        .configure(|config| config.limits.connections_per_client_max = 3)
        .start()
        .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = server.client().await;
        assert_eq!(client.ask("GET", "hello.localhost", "/", &[]).await.status, 200);
        clients.push(client);
    }
    assert!(server.client().await.is_closed().await, "the fourth of this client");
    assert!(server.metrics_text().contains("skylift_edge_refused_connections_total 1\n"));
    let mut other = server.client_from([127, 0, 0, 2]).await;
    assert_eq!(other.ask("GET", "hello.localhost", "/", &[]).await.status, 200, "another client is not concerned");
    drop(clients.pop());
    // Its place is free once the server has seen the end.
    loop {
        let mut client = server.client().await;
        client.write(b"GET / HTTP/1.1\r\nhost: hello.localhost\r\n\r\n").await;
        if !client.is_closed().await {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_a_rate_are_told_when_to_come_back() {
    let rate = Some(Rate { per_second: 1, burst: 5 });
    for (rates, others) in [(Rates { client: rate, app: None }, 200), (Rates { client: None, app: rate }, 429)] {
        let server = server()
            .app("hello", site().file("index.html", "hi"))
            .app("quiet", site().file("index.html", "quiet"))
            .configure(move |config| config.rates = rates)
            .start()
            .await;
        let mut client = server.client().await;
        let mut statuses = Vec::new();
        for _ in 0..20 {
            let answer = client.ask("GET", "hello.localhost", "/", &[]).await;
            if answer.status == 429 {
                let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=2).contains(&wait), "{wait}");
                assert_eq!(answer.header("cache-control"), Some("no-store"));
            }
            statuses.push(answer.status);
        }
        assert_eq!(statuses[..5], [200; 5], "the burst");
        assert!(statuses.iter().filter(|status| **status == 429).count() >= 10, "{statuses:?}");
        let mut other = server.client_from([127, 0, 0, 2]).await;
        assert_eq!(other.ask("GET", "hello.localhost", "/", &[]).await.status, others);
        assert_eq!(other.ask("GET", "quiet.localhost", "/", &[]).await.status, 200, "another app");
        assert!(
            server.get("localhost", "/").await.text().starts_with("control"),
            "the control plane has limits of its own"
        );
    }
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    let mut client = server.client().await;
    for _ in 0..200 {
        assert_eq!(client.ask("GET", "hello.localhost", "/", &[]).await.status, 200, "off until it is set");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoofed_address_is_no_way_around_a_rate_but_a_declared_proxy_is_believed() {
    let rates = Rates { client: Some(Rate { per_second: 1, burst: 2 }), app: None };
    for (trusted, status) in [(None, 429), (Some("127.0.0.0/8"), 200)] {
        let server = server()
            .app("hello", site().file("index.html", "hi"))
            .configure(move |config| {
                config.rates = rates;
                config.trusted_proxies = trusted.iter().map(|network: &&str| network.parse().unwrap()).collect();
            })
            .start()
            .await;
        let mut client = server.client().await;
        let mut last = 0;
        for number in 0..10 {
            let address = format!("192.0.2.{number}");
            last = client.ask("GET", "hello.localhost", "/", &[("x-forwarded-for", &address)]).await.status;
        }
        assert_eq!(last, status, "{trusted:?}");
        let told = server.get_with("localhost", "/", &[("x-forwarded-for", "192.0.2.77")]).await;
        assert_eq!(told.text().contains(" 192.0.2.77 "), trusted.is_some(), "{}", told.text());
    }
}
