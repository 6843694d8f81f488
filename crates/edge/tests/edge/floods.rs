//! Attacks over HTTP/2 that go on for a while, beside a client who only wants a page: who attacks is cut off, memory
//! stays, and every page is answered. How long the pages took is a figure, and no verdict.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::dsl::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, PING, RST_STREAM, SETTINGS, Verdict, WINDOW_UPDATE,
    block, frame, get,
};
use crate::dsl::{PATIENCE, Server, Watch, cores, count, resident_bytes, server, site};

/// How much later than an answer the good client asks again.
const PACE: Duration = Duration::from_millis(5);
/// How many connections attack at once.
const ATTACKERS: usize = 2;
/// By how much memory may grow.
const GROWTH_MAX: usize = 64 << 20;
/// How long a client may take nothing of what it asked for.
const WRITE_TIMEOUT: Duration = Duration::from_millis(700);
/// How often a stalled client shows that it is alive.
const ALIVE_EVERY: Duration = Duration::from_millis(50);
/// The number of the setting for the window of each stream.
const INITIAL_WINDOW_SIZE: u16 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    RapidReset,
    WindowOverflow,
    WindowOfNothing,
    Continuation,
    Pings,
    Settings,
    EmptyData,
    Stall,
}

const ATTACKS: [Attack; 8] = [
    Attack::RapidReset,
    Attack::WindowOverflow,
    Attack::WindowOfNothing,
    Attack::Continuation,
    Attack::Pings,
    Attack::Settings,
    Attack::EmptyData,
    Attack::Stall,
];

impl Attack {
    fn settings(self) -> &'static [(u16, u32)] {
        if self == Self::Stall { &[(INITIAL_WINDOW_SIZE, 0)] } else { &[] }
    }

    /// What a connection begins with.
    fn opening(self) -> Vec<u8> {
        match self {
            Self::Continuation => frame(HEADERS, END_STREAM, 1, &block(&get("hello.localhost", "/"))),
            Self::EmptyData => {
                let post = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/read")];
                frame(HEADERS, END_HEADERS, 1, &block(&post))
            }
            Self::Stall => {
                let ask = |number: u32| frame(HEADERS, END_STREAM | END_HEADERS, 1 + 2 * number, &get_big());
                (0..100).flat_map(ask).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What it goes on with, for the `round`th time.
    fn wave(self, round: u32) -> Vec<u8> {
        let each_stream = |frames: &dyn Fn(u32) -> Vec<u8>| {
            let opened =
                |stream| [frame(HEADERS, END_STREAM | END_HEADERS, stream, &get_big()), frames(stream)].concat();
            (0..100).flat_map(|number| opened(1 + 2 * (round * 100 + number))).collect()
        };
        let window = |increment: u32| move |stream: u32| frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
        match self {
            Self::RapidReset => each_stream(&|stream: u32| frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())),
            // The server is made to reset the streams: MadeYouReset.
            Self::WindowOverflow => each_stream(&window(0x7fff_ffff)),
            Self::WindowOfNothing => each_stream(&window(0)),
            Self::Continuation => frame(CONTINUATION, 0, 1, &block(&[("x", "y")])).repeat(100),
            Self::Pings => frame(PING, 0, 0, &[0; 8]).repeat(1_000),
            Self::Settings => frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1]).repeat(1_000),
            Self::EmptyData => frame(DATA, 0, 1, b"").repeat(1_000),
            Self::Stall => frame(PING, 0, 0, &[0; 8]),
        }
    }
}

#[test]
fn who_attacks_over_http_2_is_cut_off_and_nobody_else_notices() {
    cores::clients().block_on(attack_in_turns());
}

#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn attack_in_turns() {
    let server = start(WRITE_TIMEOUT).await;
    let lasts = Duration::from_secs(count(1, 60) as u64);
    let watch = watch(&server);
    sleep(lasts).await;
    let quiet = watch.end().await.p99();
    let before = resident_bytes();
    for attack in ATTACKS {
        let watch = self::watch(&server);
        let until = Instant::now() + lasts;
        let address = server.address;
        let cut: usize = cores::behind_clients(async move {
            let mut attackers = JoinSet::new();
            for _ in 0..ATTACKERS {
                attackers.spawn(go_on(address, attack, until));
            }
            attackers.join_all().await.into_iter().sum()
        })
        .await;
        let grown = resident_bytes().saturating_sub(before);
        let seen = watch.end().await;
        eprintln!(
            "figure: {attack:?} for {} s: {cut} connections cut, {} answers meanwhile, p99 {:?} (quiet {quiet:?}), {} MiB more",
            lasts.as_secs(),
            seen.good,
            seen.p99(),
            grown >> 20,
        );
        assert!(seen.wrong.is_empty() && seen.good > 0, "{attack:?}: {} {:?}", seen.good, seen.wrong);
        assert!(cut >= ATTACKERS, "{attack:?}: {cut}");
        assert!(grown <= GROWTH_MAX, "{attack:?}: {grown} bytes more");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_who_asks_as_one_should_is_not_cut_off_and_who_stalls_is_only_by_the_clock() {
    let server = start(Duration::from_secs(600)).await;
    let mut good = Http2::connect(server.address, &[]).await;
    for number in 0..300 {
        good.ask(1 + 2 * number, &get("hello.localhost", "/")).await;
        assert_eq!(good.verdict(1 + 2 * number).await, Verdict::Ok, "more streams than an attack may spoil");
    }
    let goes_on = |attack| timeout(WRITE_TIMEOUT * 3, go_on(server.address, attack, Instant::now()));
    let (pings, settings, stall) =
        tokio::join!(goes_on(Attack::Pings), goes_on(Attack::Settings), goes_on(Attack::Stall));
    assert!(pings.is_err() && settings.is_err() && stall.is_err(), "without the limit they go on");
    let before = resident_bytes();
    let memory = vec![1_u8; GROWTH_MAX + (8 << 20)];
    assert!(resident_bytes() - before > GROWTH_MAX, "what would be too much is seen");
    drop(memory);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_cut_off_again_and_again_is_let_in_over_http_2_no_longer_while_others_are() {
    let server = start(WRITE_TIMEOUT).await;
    let is_answered = async |mut client: Http2| {
        client.ask(1, &get("hello.localhost", "/")).await;
        client.verdict(1).await == Verdict::Ok
    };
    let let_in = async || is_answered(Http2::connect(server.address, &[]).await).await;
    be_cut(server.address).await;
    assert!(let_in().await, "the control: a few cuts are passed over");
    timeout(PATIENCE, async {
        while let_in().await {
            be_cut(server.address).await;
        }
    })
    .await
    .expect("it is let in no longer");
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 hi", "by HTTP/1.1 it is");
    assert!(is_answered(Http2::connect_from([127, 0, 0, 2], server.address).await).await, "others are");
    timeout(PATIENCE, async { while !let_in().await {} }).await.expect("it is let in again");
}

#[test]
fn a_head_that_unfolds_to_megabytes_is_refused_before_it_does() {
    cores::clients().block_on(send_bombs());
}

#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn send_bombs() {
    let server = start(WRITE_TIMEOUT).await;
    // The control: what is in the table is used, as long as all of it is small enough.
    let mut client = Http2::connect(server.address, &[]).await;
    client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &filling_the_table())).await;
    assert_eq!(client.verdict(1).await, Verdict::Ok);
    for (stream, times, verdict) in [(3, 7, Verdict::Ok), (5, 9, Verdict::Refused)] {
        client.send(&bomb(stream, times)).await;
        assert_eq!(client.verdict(stream).await, verdict, "{times} times 4 KB");
    }

    let (watch, before) = (watch(&server), resident_bytes());
    let until = Instant::now() + Duration::from_secs(count(1, 60) as u64);
    let bombs = cores::behind_clients(bomb_until(server.address, until)).await;
    let grown = resident_bytes().saturating_sub(before);
    let seen = watch.end().await;
    eprintln!(
        "figure: {bombs} heads of 240 MB in 60 KB refused, {} answers meanwhile, p99 {:?}, {} MiB more",
        seen.good,
        seen.p99(),
        grown >> 20
    );
    assert!(bombs > 1 && grown <= GROWTH_MAX, "{bombs} bombs, {grown} bytes more");
    assert!(seen.wrong.is_empty() && seen.good > 0, "{} {:?}", seen.good, seen.wrong);
}

/// Breaks the protocol on so many connections at once.
async fn be_cut(address: std::net::SocketAddr) {
    let mut all = JoinSet::new();
    for _ in 0..20 {
        all.spawn(async move {
            let mut client = Http2::connect(address, &[]).await;
            client.send(&frame(WINDOW_UPDATE, 0, 0, &[0; 4])).await;
            assert!(client.ends().await);
        });
    }
    all.join_all().await;
}

/// Sends one bomb after the other, twenty on each connection. How many were refused.
async fn bomb_until(address: std::net::SocketAddr, until: Instant) -> usize {
    let mut bombs = 0;
    while Instant::now() < until {
        let mut client = Http2::connect(address, &[]).await;
        client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &filling_the_table())).await;
        for number in 1..=20 {
            let stream = 1 + 2 * number;
            // 60,000 times 4 KB is 240 MB, of 60 KB.
            if !client.send(&bomb(stream, 60_000)).await {
                break;
            }
            assert_ne!(client.verdict(stream).await, Verdict::Ok);
            bombs += 1;
        }
    }
    bombs
}

/// A server that ends an idle connection never: nothing else may end those of an attack.
async fn start(write_timeout: Duration) -> Server {
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 241) as u8).collect();
    server()
        .app("hello", site().file("index.html", "hi").file("big.bin", big))
        .configure(move |config| {
            config.limits.write_timeout = write_timeout;
            config.limits.body_timeout = Duration::from_secs(600);
            config.limits.idle_timeout = Duration::from_secs(600);
            config.threads = 1;
            config.on_thread_start = cores::on_the_servers;
        })
        .start()
        .await
}

fn watch(server: &Server) -> Watch {
    Watch::start(server.address, PACE, &[("hello.localhost", "hi")])
}

/// Attacks on one connection after the other, reads nothing, and ends with one that was cut. How many were.
async fn go_on(address: std::net::SocketAddr, attack: Attack, until: Instant) -> usize {
    let mut cut = 0;
    loop {
        let mut client = Http2::connect_narrow(address, attack.settings()).await;
        let ended = async {
            let mut stands = client.press(&attack.opening()).await;
            for round in 0.. {
                if !stands {
                    break;
                }
                stands = client.press(&attack.wave(round)).await;
                if attack == Attack::Stall {
                    sleep(ALIVE_EVERY).await;
                }
            }
        };
        timeout(PATIENCE, ended).await.unwrap_or_else(|_| panic!("{attack:?} is not cut off"));
        cut += 1;
        if Instant::now() >= until {
            return cut;
        }
    }
}

fn get_big() -> Vec<u8> {
    block(&get("hello.localhost", "/big.bin"))
}

/// A request with a field of nearly 4 KB, which is to be remembered: all that a table holds.
fn filling_the_table() -> Vec<u8> {
    let mut head = block(&get("hello.localhost", "/"));
    let mut field = block(&[("x", &"a".repeat(4_000))]);
    // A literal that is added to the table.
    field[0] = 0x40;
    head.append(&mut field);
    head
}

/// A request that names the remembered field this many times, a byte each.
fn bomb(stream: u32, times: usize) -> Vec<u8> {
    let mut head = block(&get("hello.localhost", "/"));
    // Number 62 is the newest of the table.
    head.resize(head.len() + times, 0x80 | 62);
    let pieces: Vec<&[u8]> = head.chunks(16_000).collect();
    let mut frames = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let end = if number + 1 == pieces.len() { END_HEADERS } else { 0 };
        match number {
            0 => frames.extend(frame(HEADERS, END_STREAM | end, stream, piece)),
            _ => frames.extend(frame(CONTINUATION, end, stream, piece)),
        }
    }
    frames
}
