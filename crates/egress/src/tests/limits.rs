//! Guests that are slow, large or many, servers that are dead, and the end of a gateway.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::guest::{Setting, rest};
use super::internet::{HANGING_ADDRESS, HANGING_NAME, Internet, echoes};
use crate::resolve::Limits;

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_dead_server_is_a_bad_gateway_and_a_silent_one_times_out() {
    let limits = Limits { resolve: SOON, connect: SOON, ..Limits::default() };
    let guest = Setting::before(&Internet::new()).limits(limits).start();
    for (host, status) in [("203.0.113.7", 502), ("unknown.example", 502), (HANGING_NAME, 504), (HANGING_ADDRESS, 504)]
    {
        let (answered, mut stream) = guest.connect(&format!("{host}:443")).await;
        assert_eq!(answered, status, "{host}");
        assert!(rest(&mut stream).await.contains(host));
    }
    assert_eq!(guest.gateway.counters().refused, 0, "a failure is no refusal");
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let guest = Setting::before(&Internet::new()).start();
    let endless = format!("GET http://a.example/ HTTP/1.1\r\nA: {}", "x".repeat(17 * 1024));
    assert!(guest.ask(endless.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    let whole = format!("GET http://a.example/{} HTTP/1.1\r\n\r\n", "x".repeat(17 * 1024));
    assert!(guest.ask(whole.as_bytes()).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_awaited() {
    let guest = Setting::before(&Internet::new()).limits(Limits { head: SOON, ..Limits::default() }).start();
    assert!(guest.ask(b"CONNECT a.example").await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_silent_tunnel_is_closed() {
    let internet = Internet::new().host("203.0.113.7:443", echoes().await);
    let guest = Setting::before(&internet).limits(Limits { idle: SOON, ..Limits::default() }).start();
    let (status, mut stream) = guest.connect("203.0.113.7:443").await;
    assert_eq!(status, 200);
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_one_to_end() {
    let internet = Internet::new().host("203.0.113.7:443", echoes().await);
    let guest = Setting::before(&internet).limits(Limits { connections: 1, ..Limits::default() }).start();
    let (_, first) = guest.connect("203.0.113.7:443").await;
    let mut second = Box::pin(guest.connect("203.0.113.7:443"));
    assert!(timeout(SOON, &mut second).await.is_err(), "served beyond the limit");
    drop(first);
    let (status, _) = second.await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_dropped_gateway_ends_what_it_carries() {
    let internet = Internet::new().host("203.0.113.7:443", echoes().await);
    let guest = Setting::before(&internet).start();
    let (_, mut stream) = guest.connect("203.0.113.7:443").await;
    stream.write_all(b"!").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'!');
    let proxy = guest.proxy;
    drop(guest);
    assert!(stream.read_u8().await.is_err(), "the tunnel has ended");
    assert!(TcpStream::connect(proxy).await.is_err(), "nobody listens");
}
