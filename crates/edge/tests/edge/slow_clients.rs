//! Many clients at once that take their time, beside one who only wants a page: slow heads, slow bodies, slow readers, and
//! thousands who say nothing. All of them are let go, and every page is answered.

mod idle;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::dsl::{PATIENCE, Server, Watch, count, narrow, server, site};

/// How much later than an answer the good client asks again.
const PACE: Duration = Duration::from_millis(5);
/// How long slow clients are borne, and how often each of them does a little.
const LIMIT: Duration = Duration::from_millis(700);
const DRIP_EVERY: Duration = Duration::from_millis(60);

/// How many connect at a time.
const BATCH: usize = 50;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slow {
    Head,
    Fields,
    Body,
    Chunks,
    Reader,
}

impl Slow {
    /// What is said at once, and what is said then, again and again.
    fn says(self) -> (&'static str, &'static str) {
        match self {
            Self::Head => ("", "G"),
            Self::Fields => ("GET / HTTP/1.1\r\nhost: hello.localhost\r\n", "x-a: b\r\n"),
            Self::Body => ("POST /read HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n", "b"),
            Self::Chunks => {
                ("POST /read HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nb\r\n")
            }
            Self::Reader => ("GET /big.bin HTTP/1.1\r\nhost: hello.localhost\r\n\r\n", ""),
        }
    }
}

const ALL: [Slow; 5] = [Slow::Head, Slow::Fields, Slow::Body, Slow::Chunks, Slow::Reader];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn who_drips_is_let_go_and_nobody_else_notices() {
    let many = count(40, 1_000);
    for slow in ALL {
        let server = start(LIMIT).await;
        let watch = Watch::start(server.address, PACE, &[("hello.localhost", "hi")]);
        let (began, _clients) = (Instant::now(), drip_all(&server, slow, many).await);
        until_connections(&server, 1).await;
        let (took, seen) = (began.elapsed(), watch.end().await);
        eprintln!(
            "figure: {many} of {slow:?} let go after {took:?}, {} answers meanwhile, p99 {:?}",
            seen.good,
            seen.p99()
        );
        assert!(seen.wrong.is_empty() && seen.good > 0, "{slow:?}: {} {:?}", seen.good, seen.wrong);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_without_the_limits_who_drips_stays() {
    let server = start(Duration::from_secs(600)).await;
    let many = 5;
    let mut clients = Vec::new();
    for slow in ALL {
        clients.push(drip_all(&server, slow, many).await);
    }
    let all = many * ALL.len();
    assert!(timeout(LIMIT * 3, until_connections(&server, all - 1)).await.is_err(), "{}", connections(&server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_comes_at_a_pace_is_taken_however_long_that_takes() {
    let limit = Duration::from_secs(3);
    let server = start(limit).await;
    let mut client = server.client().await;
    client.write(b"POST /read HTTP/1.1\r\nhost: localhost\r\ncontent-length: 40000\r\n\r\n").await;
    // In all longer than a client may send nothing, but never nothing for so long.
    for _ in 0..40 {
        client.write(&[b'b'; 1_000]).await;
        sleep(limit / 35).await;
    }
    assert_eq!(client.read("POST").await.text(), "read 40000");
}

/// All times of a client are limited by this.
async fn start(limit: Duration) -> Server {
    server()
        .app("hello", site().file("index.html", "hi").file("big.bin", vec![7; 20_000_000]))
        .configure(move |config| {
            config.limits.head_timeout = limit;
            config.limits.body_timeout = limit;
            config.limits.write_timeout = limit;
            config.limits.connections_max = 20_000;
            config.limits.connections_per_client_max = 20_000;
        })
        .start()
        .await
}

/// Clients of one kind, once all are connected: not more at a time than wait in the kernel's queue. They go on until they are
/// dropped.
async fn drip_all(server: &Server, slow: Slow, many: usize) -> JoinSet<()> {
    let accepted = || number_of(server, "skylift_edge_connections_total");
    let mut clients = JoinSet::new();
    while clients.len() < many {
        let batch = BATCH.min(many - clients.len());
        let wanted = accepted() + batch;
        for _ in 0..batch {
            clients.spawn(drip(server.address, slow));
        }
        let all = async {
            while accepted() < wanted {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("{} of {wanted} were accepted", accepted()));
    }
    clients
}

/// Says or takes a byte now and then, and stays when that leads nowhere.
async fn drip(address: SocketAddr, slow: Slow) {
    let mut stream =
        if slow == Slow::Reader { narrow(address).await } else { TcpStream::connect(address).await.unwrap() };
    let (first, then) = slow.says();
    let _ = stream.write_all(first.as_bytes()).await;
    loop {
        sleep(DRIP_EVERY).await;
        let _ = stream.write_all(then.as_bytes()).await;
        if slow == Slow::Reader {
            let _ = stream.read(&mut [0]).await;
        }
    }
}

/// Waits until the edge has no more connections than this.
async fn until_connections(server: &Server, most: usize) {
    let fewer = async {
        while connections(server) > most {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE * 3, fewer).await.unwrap_or_else(|_| panic!("{} are still open", connections(server)));
}

fn connections(server: &Server) -> usize {
    number_of(server, "skylift_edge_connections")
}

fn number_of(server: &Server, metric: &str) -> usize {
    let text = server.metrics_text();
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.unwrap().parse().unwrap()
}
