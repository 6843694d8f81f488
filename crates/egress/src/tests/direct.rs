//! Connections of programs that ignore proxy variables.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::guest::{Guest, Setting, rest};
use super::internet::{Internet, listens_to_the_end};
use crate::address::OwnAddresses;
use crate::policy::Policy;

async fn is_reset(guest: &Guest, ip: Ipv4Addr) -> bool {
    // The reset may come so soon that connecting already reports it.
    let read = match guest.connect_directly(ip).await {
        Ok(mut stream) => stream.read_u8().await,
        Err(error) => Err(error),
    };
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn a_name_that_was_asked_for_is_reached_at_its_made_up_address() {
    let internet =
        Internet::new().name("a.example", &["203.0.113.7"]).host("203.0.113.7:443", listens_to_the_end().await);
    let guest = Setting::before(&internet).start();
    let (_, ip) = guest.look_up("a.example").await;
    assert_eq!(internet.resolved.lock().unwrap().len(), 0);
    let mut stream = guest.connect_directly(ip.unwrap()).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, "heard 5: hello");
    assert_eq!(internet.connected(), ["203.0.113.7:443"]);
}

#[tokio::test]
async fn a_name_of_an_inner_address_is_reset_and_told_of() {
    let internet = Internet::new().name("evil.example", &["127.0.0.1"]);
    let guest = Setting::before(&internet).start();
    let (_, ip) = guest.look_up("evil.example").await;
    assert!(is_reset(&guest, ip.unwrap()).await);
    assert_eq!(
        guest.said(),
        ["refused: evil.example:443 leads to 127.0.0.1, a loopback address; \
         the owner may allow it under [build.egress] allow"]
    );
}

#[tokio::test]
async fn an_inner_address_is_reset_and_an_unknown_made_up_one_too() {
    let guest = Setting::before(&Internet::new()).start();
    for ip in [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 64, 0, 9)] {
        assert!(is_reset(&guest, ip).await, "{ip}");
    }
    assert_eq!(guest.gateway.counters().refused, 2);
}

#[tokio::test]
async fn an_address_that_this_host_got_later_is_one_of_its_own() {
    let internet =
        Internet::new().name("a.example", &["203.0.113.7"]).host("203.0.113.7:443", listens_to_the_end().await);
    let own: Arc<Mutex<OwnAddresses>> = Arc::default();
    let guest = Setting::before(&internet).own(&own).start();
    assert_eq!(guest.connect("203.0.113.7:443").await.0, 200);
    *own.lock().unwrap() = OwnAddresses::default().and("203.0.113.7".parse().unwrap());
    assert_eq!(guest.connect("203.0.113.7:443").await.0, 403);
    let (_, ip) = guest.look_up("a.example").await;
    assert!(is_reset(&guest, ip.unwrap()).await);
    assert_eq!(guest.gateway.counters().refused, 2);
}

#[tokio::test]
async fn without_the_filter_an_inner_address_is_connected_to() {
    let server = listens_to_the_end().await;
    let internet = Internet::new().host("127.0.0.1:443", server);
    let guest = Setting::before(&internet).without_filter().start();
    let mut stream = guest.connect_directly(Ipv4Addr::LOCALHOST).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, "heard 0: ");
}

#[tokio::test]
async fn a_name_the_lists_do_not_have_is_refused_at_a_known_address_too() {
    let internet = Internet::new().name("a.example", &["203.0.113.7"]);
    let policy = Policy { platform_hosts: Some(vec!["b.example".parse().unwrap()]), ..Policy::default() };
    let guest = Setting::before(&internet).policy(policy).start();
    assert_eq!(guest.look_up("a.example").await, (3, None));
    let (code, ip) = guest.look_up("b.example").await;
    assert_eq!((code, ip.is_some()), (0, true));
    assert_eq!(internet.resolved.lock().unwrap().len(), 0);
}
