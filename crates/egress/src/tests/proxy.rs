//! Tunnels through the proxy: what they carry, and every way to an inner address that must not open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;

use super::guest::{Setting, rest};
use super::internet::{Internet, listens_to_the_end, serve};
use crate::policy::Policy;

#[tokio::test]
async fn a_tunnel_carries_both_ways_and_closes_each_way_by_itself() {
    let internet =
        Internet::new().name("a.example", &["203.0.113.7"]).host("203.0.113.7:443", listens_to_the_end().await);
    let guest = Setting::before(&internet).start();
    let (status, mut stream) = guest.connect("A.Example.:443").await;
    assert_eq!(status, 200);
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, "heard 5: hello");
    let counters = guest.gateway.stop().await;
    assert_eq!((counters.connections, counters.refused, counters.bytes_out, counters.bytes_in), (1, 0, 5, 14));
}

#[tokio::test]
async fn bytes_sent_before_the_tunnel_stands_are_carried_too() {
    let internet = Internet::new().host("203.0.113.7:443", listens_to_the_end().await);
    let guest = Setting::before(&internet).start();
    let mut stream = tokio::net::TcpStream::connect(guest.proxy).await.unwrap();
    stream.write_all(b"CONNECT 203.0.113.7:443 HTTP/1.1\r\n\r\nearly").await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(rest(&mut stream).await.ends_with("\r\n\r\nheard 5: early"));
}

#[tokio::test]
async fn a_refusal_is_answered_with_its_reason_and_told_once() {
    let guest = Setting::before(&Internet::new()).start();
    for _ in 0..2 {
        let (status, mut stream) = guest.connect("10.0.0.5:443").await;
        assert_eq!(status, 403);
        let said = "refused: 10.0.0.5:443 is a private address; the owner may allow it under [build.egress] allow";
        assert_eq!(rest(&mut stream).await, format!("{said}\n"));
        assert_eq!(guest.said(), [said]);
    }
    assert_eq!(guest.gateway.counters().refused, 2);
}

/// Ways to spell an inner address, as the host of a request. `canary` is a name that resolves to each of them.
const INNER: [&str; 40] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0",
    "0x7f.1",
    "0x7f000001",
    "0X7F.0x0.0x0.0x1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "127.0.0.0x1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%lo]",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[ff02::1]",
    "169.254.169.254",
    "169.254.170.2",
    "2852039166",
    "0xa9fea9fe",
    "[::ffff:169.254.169.254]",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "198.18.0.1",
    "255.255.255.255",
];

/// Counts the connections that arrive at an inner server.
async fn canary() -> (u16, Arc<AtomicUsize>) {
    let visits = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&visits);
    let address = serve(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        async {}
    })
    .await;
    (address.port(), visits)
}

fn port_open(port: u16) -> Policy {
    Policy { ports: vec![port], ..Policy::default() }
}

#[tokio::test]
async fn no_spelling_of_an_inner_address_opens() {
    let (port, visits) = canary().await;
    let internet = Internet::new();
    let guest = Setting::before(&internet).policy(port_open(port)).start();
    for host in INNER {
        let (status, _) = guest.connect(&format!("{host}:{port}")).await;
        assert_eq!(status, 403, "{host}");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    assert_eq!(internet.connected(), [""; 0]);
    assert_eq!(internet.resolved.lock().unwrap().len(), 0, "no odd spelling may reach a resolver");
    assert_eq!(guest.gateway.counters().refused, 40);
}

#[tokio::test]
async fn no_name_of_an_inner_address_opens() {
    let inner: Vec<&str> = INNER
        .iter()
        .map(|host| host.trim_matches(['[', ']']))
        .filter(|text| text.parse::<std::net::IpAddr>().is_ok())
        .collect();
    assert!(inner.len() > 20);
    let (port, visits) = canary().await;
    for ip in inner {
        let internet = Internet::new().name("evil.example", &["203.0.113.7", ip]);
        let guest = Setting::before(&internet).policy(port_open(port)).start();
        let (status, mut stream) = guest.connect(&format!("evil.example:{port}")).await;
        assert_eq!(status, 403, "{ip}");
        assert!(rest(&mut stream).await.contains(" leads to "), "{ip}");
        assert_eq!(internet.connected(), [""; 0], "one bad address refuses the name");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn without_the_filter_the_same_requests_reach_the_inner_server() {
    let (port, visits) = canary().await;
    let internet = Internet::new().name("evil.example", &["127.0.0.1"]);
    let guest = Setting::before(&internet).policy(port_open(port)).without_filter().start();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "evil.example"] {
        let (status, mut stream) = guest.connect(&format!("{host}:{port}")).await;
        assert_eq!(status, 200, "{host}");
        assert_eq!(rest(&mut stream).await, "");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_name_that_changes_after_the_check_leads_to_the_checked_address() {
    let (port, visits) = canary().await;
    let public = listens_to_the_end().await;
    let internet = Internet::new()
        .changing_name("rebinds.example", &[&["203.0.113.7"], &["127.0.0.1"]])
        .host(&format!("203.0.113.7:{port}"), public);
    let guest = Setting::before(&internet).policy(port_open(port)).start();
    let (status, mut stream) = guest.connect(&format!("rebinds.example:{port}")).await;
    assert_eq!(status, 200);
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, "heard 0: ");
    assert_eq!(internet.resolved.lock().unwrap().len(), 1);
    assert_eq!(internet.connected(), [format!("203.0.113.7:{port}")]);

    let (status, _) = guest.connect(&format!("rebinds.example:{port}")).await;
    assert_eq!(status, 403, "asked again, it has become private");
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_dead_address_is_followed_by_the_next() {
    let internet = Internet::new()
        .name("a.example", &["2001:db8::1", "203.0.113.8", "203.0.113.7"])
        .host("203.0.113.7:443", listens_to_the_end().await);
    let guest = Setting::before(&internet).start();
    assert_eq!(guest.connect("a.example:443").await.0, 200);
    assert_eq!(internet.connected(), ["[2001:db8::1]:443", "203.0.113.8:443", "203.0.113.7:443"]);
}

#[tokio::test]
async fn the_owners_entry_opens_one_port_of_this_very_host() {
    let server = listens_to_the_end().await;
    let policy = Policy { owner_allowed: vec![server.to_string().parse().unwrap()], ..Policy::default() };
    let guest = Setting::before(&Internet::new()).policy(policy).start();
    let (status, mut stream) = guest.connect(&server.to_string()).await;
    assert_eq!(status, 200);
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, "heard 0: ");
    assert_eq!(guest.connect("127.0.0.1:443").await.0, 403);
    assert_eq!(guest.connect("127.0.0.1:1").await.0, 403);
}

#[tokio::test]
async fn a_host_on_no_list_is_refused_before_it_is_looked_up() {
    let internet = Internet::new().name("secret.evil.example", &["203.0.113.7"]);
    let policy = Policy { app_hosts: Some(vec!["*.example.org".parse().unwrap()]), ..Policy::default() };
    let guest = Setting::before(&internet).policy(policy).start();
    assert_eq!(guest.connect("secret.evil.example:443").await.0, 403);
    assert_eq!(guest.connect("203.0.113.7:443").await.0, 403);
    assert_eq!(internet.resolved.lock().unwrap().len(), 0);
    assert_eq!(
        guest.said(),
        [
            "refused: secret.evil.example:443 is not on the app's list of allowed hosts",
            "refused: 203.0.113.7:443 is not on the app's list of allowed hosts"
        ]
    );
}

#[tokio::test]
async fn others_on_the_platforms_behalf_dial_through_the_same_filter() {
    let server = listens_to_the_end().await;
    let mut policy = Policy { ports: vec![server.port()], ..Policy::default() };
    let dial = async |policy: &Policy, host: &str| {
        let target = crate::Target::parse(host).ok()?;
        crate::Dialer::new(policy.clone(), crate::Limits::default()).dial(&target, server.port()).await.ok()
    };
    for host in ["127.0.0.1", "localhost", "[::1]", "127.1"] {
        assert!(dial(&policy, host).await.is_none(), "{host}");
    }
    policy.owner_allowed = vec!["127.0.0.1".parse().unwrap()];
    assert!(dial(&policy, "127.0.0.1").await.is_some());
}
