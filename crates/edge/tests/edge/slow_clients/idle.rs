//! Thousands of connections on which nothing is said. They are held by a process of their own: one has not enough
//! descriptors for both ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::{PACE, connections};
use crate::dsl::{PATIENCE, Watch, count, resident_bytes, server, site};

/// Tells the other process what to hold: an address and how many.
const HOLD: &str = "SKYLIFT_TEST_HOLD";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn thousands_who_say_nothing_are_let_go_and_nobody_else_notices() {
    let many = count(500, 10_000);
    let lasts = Duration::from_secs(if many > 500 { 40 } else { 6 });
    let server = server()
        .app("hello", site().file("index.html", "hi"))
        .configure(move |config| {
            config.limits.head_timeout = lasts;
            config.limits.idle_timeout = lasts;
            config.limits.connections_max = 20_000;
            config.limits.connections_per_client_max = 20_000;
        })
        .start()
        .await;
    let watch = Watch::start(server.address, PACE, &[("hello.localhost", "hi")]);
    while connections(&server) == 0 {
        tokio::task::yield_now().await;
    }
    let before = resident_bytes();
    let mut holder = Command::new(std::env::current_exe().unwrap());
    holder.args(["--exact", "slow_clients::idle::holds_connections", "--ignored", "--nocapture"]);
    holder.env(HOLD, format!("{} {many}", server.address)).stdout(Stdio::piped()).kill_on_drop(true);
    let mut holder = holder.spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let mut said = async |wanted: &str| {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(wanted) {
                return line;
            }
        }
        panic!("the process that holds connections did not say {wanted}")
    };
    timeout(PATIENCE * 2, said("all are held")).await.expect("held in time");
    let (held, grown) = (connections(&server), resident_bytes().saturating_sub(before));
    assert!(held >= many, "{held} at once");
    let let_go = timeout(PATIENCE + lasts * 2, said("let go")).await.expect("let go in time");
    assert!(let_go.contains(&format!("{many} were let go")), "{let_go}");
    let seen = watch.end().await;
    eprintln!(
        "figure: {many} idle connections at once, {} KiB more in all, let go; {} answers meanwhile, p99 {:?}",
        grown >> 10,
        seen.good,
        seen.p99()
    );
    assert!(seen.wrong.is_empty() && seen.good > 0, "{} {:?}", seen.good, seen.wrong);
    assert!(grown <= 64 << 20, "{grown} bytes more");
}

/// Connects as often as it is told; every other connection has asked for something. Says when all stand, and how many were let go
/// without a word.
#[test]
#[ignore = "a part of another test, in a process of its own"]
#[expect(clippy::print_stdout, reason = "what the other test waits for")]
fn holds_connections() {
    let Ok(told) = std::env::var(HOLD) else { return };
    let (address, many) = told.split_once(' ').unwrap();
    let (address, many): (SocketAddr, usize) = (address.parse().unwrap(), many.parse().unwrap());
    let mut held = Vec::new();
    for number in 0..many {
        let mut stream = TcpStream::connect(address).unwrap();
        if number % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: hello.localhost\r\n\r\n").unwrap();
        }
        held.push(stream);
    }
    for stream in held.iter_mut().step_by(2) {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nhi") {
            let mut some = [0; 1024];
            let read = stream.read(&mut some).unwrap();
            assert_ne!(read, 0, "let go too early");
            answer.extend_from_slice(&some[..read]);
        }
    }
    println!("all are held");
    let let_go = held.iter_mut().map(|stream| stream.read(&mut [0]).unwrap()).filter(|read| *read == 0).count();
    println!("{let_go} were let go");
}
