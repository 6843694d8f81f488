//! The way from a run: the node's endpoints on behalf of one key, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use skylift_ai::{Limits, Mock, Models, Node, RelayLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::support::{PATIENCE, Platform, Told, clock, exchange, key, read_message, request, send};

struct Relay {
    address: SocketAddr,
    told: Arc<Told>,
    serving: JoinHandle<()>,
}

async fn relay(limits: RelayLimits) -> Relay {
    let told = Arc::new(Told::default());
    let engine = Arc::new(Mock::new(&Models::default(), clock()));
    let node = Node::new(engine, Models::default(), Limits::default(), told.clone());
    before(node, told, limits).await
}

async fn before(node: Node, told: Arc<Told>, limits: RelayLimits) -> Relay {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Relay { address, told, serving: tokio::spawn(serve(listener, node, key(9), limits)) }
}

fn ask() -> String {
    json!({ "model": "mock", "prompt": "x", "stream": false }).to_string()
}

#[tokio::test]
async fn a_run_is_answered_on_behalf_of_its_key_whatever_it_says_of_itself() {
    let relay = relay(RelayLimits::default()).await;
    let (body, port) = (ask(), relay.address.port());
    let claims = format!(
        "POST /api/generate HTTP/1.1\r\nhost: localhost:{port}\r\nauthorization: Bearer another\r\nx-api-key: another\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..2 {
        assert_eq!(send(relay.address, &claims).await.status, 200);
    }
    assert!(
        relay.told.0.lock().unwrap().is_empty(),
        "a machine that dies here leaves nothing counted of what is run again"
    );
    relay.serving.abort();
    let told = relay.told.count(1).await;
    assert_eq!((told[0].requests, relay.told.0.lock().unwrap()[0].0.clone()), (2, key(9)));
}

#[tokio::test]
async fn nothing_but_the_nodes_endpoints_is_behind_it() {
    let relay = relay(RelayLimits::default()).await;
    for path in
        ["/", "/v1/apps", "/metrics", "/healthz", "/api/pull", "//api/tags", "/api/tags/", "/api/%2e%2e/v1/apps"]
    {
        assert_eq!(exchange(relay.address, "GET", path, "").await.status, 404, "{path}");
    }
    for other in [
        "GET http://169.254.169.254/api/tags HTTP/1.1\r\nhost: 169.254.169.254\r\nconnection: close\r\n\r\n",
        "GET http://127.0.0.1:1/api/tags HTTP/1.1\r\nhost: 127.0.0.1:1\r\nconnection: close\r\n\r\n",
        "GET /api/tags HTTP/1.1\r\nhost: example.org\r\nconnection: close\r\n\r\n",
    ] {
        assert_eq!(send(relay.address, other).await.status, 421, "{other}");
    }
    let tunnel = "CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: 127.0.0.1:22\r\nconnection: close\r\n\r\n";
    assert_ne!(send(relay.address, tunnel).await.status, 200);
    assert_eq!(exchange(relay.address, "GET", "/api/tags", "").await.status, 200, "the control");
}

#[tokio::test]
async fn a_run_has_so_many_requests_and_so_many_bytes() {
    let few = relay(RelayLimits { requests: 2, ..RelayLimits::default() }).await;
    for expected in [200, 200, 429] {
        assert_eq!(exchange(few.address, "POST", "/api/generate", &ask()).await.status, expected);
    }
    few.serving.abort();
    assert_eq!(few.told.count(1).await[0].requests, 2);
    let little = relay(RelayLimits { bytes: 5_000, ..RelayLimits::default() }).await;
    assert_eq!(exchange(little.address, "POST", "/api/generate", &ask()).await.status, 200);
    // A vector is larger than what is left.
    let vector = json!({ "model": "mock", "input": "x" }).to_string();
    let cut = exchange(little.address, "POST", "/api/embed", &vector).await;
    assert!(serde_json::from_str::<serde_json::Value>(&cut.body).is_err(), "{cut:?}");
    assert_ne!(exchange(little.address, "POST", "/api/generate", &ask()).await.status, 200);
}

#[tokio::test]
async fn connections_beyond_those_at_once_wait() {
    let relay = relay(RelayLimits { connections: 1, ..RelayLimits::default() }).await;
    let first = TcpStream::connect(relay.address).await.unwrap();
    let second = tokio::spawn(exchange_tags(relay.address));
    let mut first = BufReader::new(first);
    // It stays open, and the second waits for as long.
    first.get_mut().write_all(b"GET /api/tags HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.unwrap();
    let (head, _) = read_message(&mut first).await;
    assert!(head.starts_with("HTTP/1.1 200") && !second.is_finished(), "{head}");
    drop(first);
    assert_eq!(tokio::time::timeout(PATIENCE, second).await.unwrap().unwrap(), 200);
}

async fn exchange_tags(address: SocketAddr) -> u16 {
    exchange(address, "GET", "/api/tags", "").await.status
}

#[tokio::test]
async fn when_a_run_ends_so_does_what_it_has_asked() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let platform = Platform::before(server.local_addr().unwrap(), Models::default(), Limits::default()).await;
    let relay = before(platform.node.clone(), platform.told.clone(), RelayLimits::default()).await;
    let mut client = TcpStream::connect(relay.address).await.unwrap();
    client.write_all(request("POST", "/api/generate", &ask()).as_bytes()).await.unwrap();
    let mut made = BufReader::new(server.accept().await.unwrap().0);
    read_message(&mut made).await;
    relay.serving.abort();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, made.read_to_end(&mut rest)).await.unwrap().unwrap();
    let _ = tokio::time::timeout(PATIENCE, client.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty() && relay.serving.await.unwrap_err().is_cancelled());
    assert!(TcpStream::connect(relay.address).await.is_err(), "nobody listens any more");
}
