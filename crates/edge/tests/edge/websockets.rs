//! WebSockets: from its 101 on a connection is the instance's, and never without one.
//!
//! The oracle is an instance that notes every byte, those that it takes for requests and those behind them.

use std::time::Duration;

use skylift_bus::Message;
use skylift_edge::EdgeConfig;

use crate::dsl::http2::{Http2, Verdict};
use crate::dsl::origin::{Origin, Reply, ok};
use crate::dsl::{PATIENCE, Server, id, instance, name, server};

/// The example of RFC 6455.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// What is sent behind a handshake without waiting: a request, to whoever takes it for one.
const AHEAD: &str =
    "GET /hidden HTTP/1.1\r\nHost: chat.localhost\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n";

/// A frame with a text.
const HELLO: &[u8] = b"\x81\x05hello";
/// The last one of a side that goes away.
const GOES_AWAY: &[u8] = b"\x88\x02\x03\xe9";

fn handshake() -> String {
    handshake_with("")
}

fn handshake_with(more: &str) -> String {
    format!(
        "GET /chat?room=1 HTTP/1.1\r\nHost: chat.localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

fn agreed() -> Vec<u8> {
    switching("Upgrade: websocket", &format!("Sec-WebSocket-Accept: {ACCEPT}"))
}

fn switching(upgrade: &str, accept: &str) -> Vec<u8> {
    format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{upgrade}\r\n{accept}\r\nX-Own: yes\r\n\r\n")
        .replace("\r\n\r\nX-Own", "\r\nX-Own")
        .into_bytes()
}

/// An instance that agrees to every WebSocket and answers everything else.
async fn chat() -> Origin {
    Origin::start(|request, _| if request.starts_with("GET /chat") { Reply::Echo(agreed()) } else { ok("", "plain") })
        .await
}

async fn before(instances: &[&Origin]) -> Server {
    configured(instances, |_| {}).await
}

async fn configured(instances: &[&Origin], configure: impl Fn(&mut EdgeConfig) + Send + Sync + 'static) -> Server {
    let addresses: Vec<_> = instances.iter().map(|origin| origin.address).collect();
    server().program("chat", &addresses).configure(configure).start().await
}

/// The statuses of everything that was said.
fn statuses(said: &[u8]) -> Vec<u16> {
    let said = String::from_utf8_lossy(said);
    said.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_pass_both_ways_as_they_are_and_each_side_ends_for_itself() {
    let origin = chat().await;
    let server = before(&[&origin]).await;
    let mut client = server.client().await;
    client.write(handshake_with("Sec-WebSocket-Protocol: talk\r\nX-Forwarded-For: 6.6.6.6\r\n").as_bytes()).await;
    let answer = client.read("GET").await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));
    assert_eq!((answer.header("sec-websocket-accept"), answer.header("x-own")), (Some(ACCEPT), Some("yes")));
    assert_eq!((answer.header("content-length"), answer.header("transfer-encoding")), (None, None));
    let large: Vec<u8> = (0..300_000_u32).map(|n| (n % 253) as u8).collect();
    for bytes in [&b"\x81\x85\0\0\0\0hello"[..], b"GET / HTTP/1.1\n\n\0\r\r\n", b"\0", &large] {
        client.write(bytes).await;
        assert!(client.read_body(bytes.len()).await == bytes);
    }
    client.end().await;
    assert_eq!(client.read_to_end().await, b"bye", "the instance hears of the end and may say something more");
    let asked = origin.requests();
    assert_eq!(asked.len(), 1);
    let asked = asked[0].to_lowercase();
    for line in [
        "get /chat?room=1 http/1.1\r\n",
        "\r\nconnection: upgrade\r\n",
        "\r\nupgrade: websocket\r\n",
        "\r\nsec-websocket-version: 13\r\n",
        "\r\nsec-websocket-protocol: talk\r\n",
        "\r\nhost: chat.localhost\r\n",
        "\r\nx-forwarded-for: 127.0.0.1\r\n",
    ] {
        assert!(asked.contains(line), "{line:?}: {asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_ahead_belongs_to_the_instance_once_it_agrees_and_is_a_request_where_it_does_not() {
    let proof = format!("Sec-WebSocket-Accept: {ACCEPT}");
    let no =
        |status: &str| format!("HTTP/1.1 {status}\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno").into_bytes();
    for (reply, first) in [
        (no("200 OK"), 200),
        (no("403 Forbidden"), 403),
        (no("426 Upgrade Required"), 426),
        (switching("Upgrade: h2c", &proof), 502),
        (switching("Upgrade: websocket, h2c", &proof), 502),
        (switching("X-Upgrade: websocket", &proof), 502),
        (switching("Upgrade: websocket", "X-No: proof"), 502),
        (switching("Upgrade: websocket", "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="), 502),
    ] {
        let shown = String::from_utf8_lossy(&reply).into_owned();
        let origin = Origin::start(move |request, _| match request.starts_with("GET /chat") {
            true if first == 502 => Reply::Echo(reply.clone()),
            true => Reply::Say(reply.clone()),
            false => ok("", "plain"),
        })
        .await;
        let server = before(&[&origin]).await;
        for (ahead, second) in [(AHEAD.to_owned(), 200), (AHEAD.replace("\r\n", "\n"), 400)] {
            let mut client = server.client().await;
            client.write(format!("{}{ahead}", handshake()).as_bytes()).await;
            assert_eq!(statuses(&client.read_to_end().await), [first, second], "{shown}");
        }
        assert_eq!(origin.echoed(), b"", "{shown}");
        let hidden: Vec<String> = origin.requests().into_iter().filter(|one| one.contains("/hidden")).collect();
        assert!(matches!(&hidden[..], [one] if one.contains("x-forwarded-for: 127.0.0.1")), "{hidden:?}");
    }
    // The control: the same bytes, both of them, reach an instance that has agreed, as they are.
    for ahead in [AHEAD.to_owned(), AHEAD.replace("\r\n", "\n")] {
        let origin = chat().await;
        let server = before(&[&origin]).await;
        let mut client = server.client().await;
        client.write(format!("{}{ahead}", handshake()).as_bytes()).await;
        assert_eq!(client.read("GET").await.status, 101);
        assert_eq!(client.read_body(ahead.len()).await, ahead.as_bytes());
        assert_eq!((origin.asked(), origin.echoed()), (1, ahead.into_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_led_into_a_tunnel_that_was_not_asked_for() {
    let origin = Origin::start(|_, _| Reply::Echo(agreed())).await;
    let server = before(&[&origin]).await;
    let plain = "GET /chat HTTP/1.1\r\nHost: chat.localhost\r\n";
    let asking = format!("Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n");
    for request in [
        format!("{plain}\r\n"),
        format!("{plain}{asking}\r\n"),
        format!("{plain}{asking}Connection: Upgrade\r\n\r\n"),
        format!("{plain}{asking}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        format!("{plain}{asking}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n"),
    ] {
        let mut client = server.client().await;
        client.write(format!("{request}{AHEAD}").as_bytes()).await;
        assert_eq!(statuses(&client.read_to_end().await), [502, 502], "{request}");
    }
    assert_eq!(origin.echoed(), b"");
    assert!(origin.requests().iter().all(|request| !request.to_lowercase().contains("upgrade")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_is_none_is_refused_and_reaches_no_instance() {
    let origin = chat().await;
    let server = before(&[&origin]).await;
    for (what, with) in [
        ("GET", "POST"),
        ("HTTP/1.1", "HTTP/1.0"),
        ("keep-alive, Upgrade", "keep-alive"),
        (KEY, "short"),
        ("Sec-WebSocket-Version: 13", "Content-Length: 5"),
        ("Sec-WebSocket-Version: 13", "Transfer-Encoding: chunked"),
        ("Sec-WebSocket-Version: 13", &format!("Sec-WebSocket-Key: {KEY}")),
    ] {
        let asked = handshake().replacen(what, with, 1);
        assert_ne!(asked, handshake());
        assert_eq!(server.send(asked).await.status, 400, "{with}");
    }
    let mut client = Http2::connect(server.address, &[]).await;
    let connect = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "chat.localhost"),
        (":path", "/chat"),
        ("sec-websocket-version", "13"),
    ];
    client.ask(1, &connect).await;
    // It is not offered: SETTINGS_ENABLE_CONNECT_PROTOCOL was never sent.
    assert_eq!(client.verdict(1).await, Verdict::Reset);
    assert_eq!(origin.asked(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_drained_when_its_websockets_have_ended() {
    let origins = [chat().await, chat().await];
    let server = before(&[&origins[0], &origins[1]]).await;
    let mut client = server.client().await;
    client.write(handshake().as_bytes()).await;
    assert_eq!(client.read("GET").await.status, 101);
    let busy = usize::from(origins[1].asked() == 1);
    let [with, without] = [busy, 1 - busy].map(|number| instance(&id(100), number as u64));
    let mut routes = server.source.routes(&name("chat"));
    routes.generation += 1;
    for routed in &mut routes.instances {
        routed.draining = true;
    }
    server.source.set(routes.clone());
    let mut messages = server.bus.subscribe();
    server.change(&routes).await;
    let is_drained = |message: &Message, of| matches!(message, Message::Drained(instance, _) if instance == of);
    let too_early = std::cell::Cell::new(false);
    let both = messages.wait_for(|message| {
        too_early.set(too_early.get() || is_drained(message, &with));
        is_drained(message, &without)
    });
    tokio::time::timeout(PATIENCE, both).await.expect("the other one is drained at once");
    client.write(b"still here").await;
    assert_eq!(client.read_body(10).await, b"still here");
    assert!(!too_early.get());
    drop(client);
    let ended = messages.wait_for(|message| is_drained(message, &with));
    tokio::time::timeout(PATIENCE, ended).await.expect("drained");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_ends_with_its_instance_and_is_counted() {
    let origin = chat().await;
    let server = before(&[&origin]).await;
    let mut client = server.client().await;
    client.write(handshake().as_bytes()).await;
    assert_eq!(client.read("GET").await.status, 101);
    assert!(server.metrics_text().contains("skylift_edge_websockets 1\n"));
    client.write(b"die").await;
    assert_eq!(client.read_to_end().await, b"die");
    drop(client);
    let ended = async {
        while !server.metrics_text().contains("skylift_edge_websockets 0\n") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("it ends");
    let text = server.metrics_text();
    assert!(text.contains("skylift_edge_websockets_total 1\n"), "{text}");
    assert!(text.contains("skylift_edge_requests_total{app=\"chat\",status=\"1xx\"} 1\n"), "{text}");
    assert!(text.contains("skylift_edge_response_bytes_total{app=\"chat\"} 3\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_that_is_quiet_for_too_long_ends_on_both_sides() {
    let origin = chat().await;
    let quick = |config: &mut EdgeConfig| {
        config.limits.stream_timeout = Duration::from_millis(300);
        config.limits.head_timeout = Duration::from_secs(1);
    };
    let server = configured(&[&origin], quick).await;
    let mut client = server.client().await;
    client.write(handshake().as_bytes()).await;
    assert_eq!(client.read("GET").await.status, 101);
    assert_eq!(client.read_to_end().await, b"");
}

/// How a conversation ends in which this was said last, by an instance that hangs up then.
async fn ends_behind(last: &[u8], draining: bool) -> Vec<u8> {
    let origin = chat().await;
    let server = before(&[&origin]).await;
    let mut client = server.client().await;
    client.write(handshake().as_bytes()).await;
    assert_eq!(client.read("GET").await.status, 101);
    let mut routes = server.source.routes(&name("chat"));
    routes.generation += 1;
    routes.instances[0].draining = draining;
    server.source.set(routes.clone());
    server.change(&routes).await;
    client.write(HELLO).await;
    assert_eq!(client.read_body(HELLO.len()).await, HELLO, "it goes on while there is time");
    client.write(last).await;
    let said = client.read_to_end().await;
    said.strip_prefix(last).expect("what was said comes first").to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_outlasts_a_drain_is_told_that_the_other_side_goes_away() {
    assert_eq!(ends_behind(b"\x81\x03die", true).await, GOES_AWAY);
    assert_eq!(
        ends_behind(
            b"\x82\x7e\x00\x80".iter().chain(&[b'x'; 125]).chain(b"die").copied().collect::<Vec<_>>().as_slice(),
            true
        )
        .await,
        GOES_AWAY
    );
    // An instance that takes its leave is not interrupted, a frame that was cut stays so, and an end that nobody wanted is none.
    assert_eq!(ends_behind(b"\x88\x05\x03\xf4die", true).await, b"");
    assert_eq!(ends_behind(b"\x81\x0adie", true).await, b"");
    assert_eq!(ends_behind(b"\x81\x03die", false).await, b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_stops_waits_for_no_websocket_and_takes_its_leave_of_each() {
    let origin = chat().await;
    for (last, farewell) in [(HELLO, GOES_AWAY), (&HELLO[..3], b"")] {
        let server = configured(&[&origin], |config| config.limits.drain_timeout = Duration::from_secs(600)).await;
        let mut client = server.client().await;
        client.write(handshake().as_bytes()).await;
        assert_eq!(client.read("GET").await.status, 101);
        client.write(last).await;
        assert_eq!(client.read_body(last.len()).await, last);
        server.stop().await;
        assert_eq!(client.read_to_end().await, farewell);
    }
}
