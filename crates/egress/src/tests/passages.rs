//! Passages: each leads to its one place, and none of them opens anything else.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::guest::{Setting, question, read_answer, rest};
use super::internet::{Internet, listens_to_the_end};
use crate::dns::Names;
use crate::host::Target;
use crate::policy::Policy;
use crate::{Leads, Passage, Sockets};

/// What is said at `port` of the guest's network by whoever it leads to.
async fn hear(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(b"hello").await?;
    stream.shutdown().await?;
    let mut bytes = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A gateway with one passage to `to`, and the ports of the passage, the proxy and the name server.
fn start(internet: &Arc<Internet>, to: (&str, u16), policy: Policy) -> (crate::Gateway, [u16; 3]) {
    let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dns = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let ports =
        [inside.local_addr().unwrap(), connect.local_addr().unwrap(), dns.local_addr().unwrap()].map(|at| at.port());
    let target = Target::parse(to.0).unwrap();
    let asked_as = if let Target::Name(name) = &target { Some(name.clone()) } else { None };
    let passage = Passage { name: "service db".to_owned(), asked_as, leads: Leads::To(target, to.1) };
    let sockets = Sockets { connect, tcp: vec![], passages: vec![(passage, inside)], dns: vec![dns] };
    let (gateway, _said) = Setting::before(internet).policy(policy).serve(Names::default(), sockets);
    (gateway, ports)
}

#[tokio::test]
async fn a_passage_leads_to_a_private_place_that_the_filter_refuses_by_itself() {
    let internet = Internet::new().host("10.0.0.5:5432", listens_to_the_end().await);
    let (_gateway, [inside, proxy, _]) = start(&internet, ("10.0.0.5", 5432), Policy::default());
    assert_eq!(hear(inside).await.unwrap(), "heard 5: hello");
    assert_eq!(internet.connected(), ["10.0.0.5:5432"]);
    for beside in ["10.0.0.5:5432", "10.0.0.5:443", "10.0.0.6:443", &format!("127.0.0.1:{inside}")] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy)).await.unwrap();
        stream.write_all(format!("CONNECT {beside} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        let said = rest(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 403"), "{beside}: {said}");
    }
    assert_eq!(internet.connected().len(), 1);
}

#[tokio::test]
async fn the_name_that_a_passage_leads_to_is_answered_whatever_the_lists_say() {
    let internet = Internet::new().name("db.lan", &["10.0.0.5"]).host("10.0.0.5:5432", listens_to_the_end().await);
    let policy = Policy { app_hosts: Some(Vec::new()), ..Policy::default() };
    let (_gateway, [inside, _, dns]) = start(&internet, ("db.lan", 5432), policy);
    assert_eq!(hear(inside).await.unwrap(), "heard 5: hello");
    for (name, code) in [("db.lan", 0), ("other.lan", 3)] {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(&question(name, 1), (Ipv4Addr::LOCALHOST, dns)).await.unwrap();
        let mut answer = [0; 600];
        let length = socket.recv(&mut answer).await.unwrap();
        assert_eq!(read_answer(&answer[..length]).0, code, "{name}");
    }
}

#[tokio::test]
async fn a_service_that_is_away_is_a_connection_that_breaks() {
    let (_gateway, [inside, ..]) = start(&Internet::new(), ("10.0.0.5", 5432), Policy::default());
    assert!(hear(inside).await.is_err());
}
