//! A node that listens, and whoever asks it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Extension;
use serde_json::Value;
use skylift_ai::{Engine, Limits, Mock, Models, Node, Spent, Tally, Upstream, UpstreamSettings};
use skylift_model::{Clock, Timestamp, TokenId};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How long anything is waited for that should come soon.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What was spent, as it was told.
#[derive(Default)]
pub(crate) struct Told(pub(crate) Mutex<Vec<(TokenId, Spent)>>);

impl Tally for Told {
    fn spent(&self, key: &TokenId, spent: Spent) {
        self.0.lock().unwrap().push((key.clone(), spent));
    }
}

impl Told {
    pub(crate) fn all(&self) -> Vec<Spent> {
        self.0.lock().unwrap().iter().map(|(_, spent)| *spent).collect()
    }

    /// Waits for as many.
    pub(crate) async fn count(&self, count: usize) -> Vec<Spent> {
        let told = async {
            while self.0.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
            self.all()
        };
        tokio::time::timeout(PATIENCE, told).await.unwrap()
    }
}

pub(crate) fn clock() -> Clock {
    Clock::new(|| Timestamp::from_millis(1_700_000_000_000))
}

pub(crate) fn key(number: u64) -> TokenId {
    TokenId::new(Timestamp::from_millis(0), number)
}

/// A node that listens on the loopback.
pub(crate) struct Platform {
    pub(crate) address: SocketAddr,
    pub(crate) node: Node,
    pub(crate) told: Arc<Told>,
}

impl Platform {
    pub(crate) async fn start(engine: Arc<dyn Engine>, models: Models, limits: Limits) -> Self {
        let told = Arc::new(Told::default());
        let node = Node::new(engine, models, limits, told.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = node.front().layer(Extension(key(1)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, node, told }
    }

    pub(crate) async fn mock() -> Self {
        Self::start(Arc::new(Mock::new(&Models::default(), clock())), Models::default(), Limits::default()).await
    }

    /// One that asks a server.
    pub(crate) async fn before(server: SocketAddr, models: Models, limits: Limits) -> Self {
        Self::start(Arc::new(Upstream::new(&settings(server)).unwrap()), models, limits).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        exchange(self.address, "POST", path, &body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        exchange(self.address, "GET", path, "").await
    }
}

pub(crate) fn settings(server: SocketAddr) -> UpstreamSettings {
    UpstreamSettings { url: format!("http://{server}/"), key: None, begins_within: PATIENCE, silent_for: PATIENCE }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap().to_owned())
    }
}

pub(crate) fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) async fn exchange(to: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    send(to, &request(method, path, body)).await
}

/// Sends bytes and reads an answer to its end.
pub(crate) async fn send(to: SocketAddr, bytes: &str) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    // Who refuses early may close before all was sent.
    let _ = stream.write_all(bytes.as_bytes()).await;
    let mut all = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.unwrap();
    let text = String::from_utf8(all).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let head = head.to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_owned() };
    Answer { status, head, body }
}

fn unchunked(mut body: &str) -> String {
    let mut all = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        all.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    all
}

/// Reads the head of a request or an answer, and the bytes of the body that have to come with it.
pub(crate) async fn read_message(stream: &mut BufReader<TcpStream>) -> (String, String) {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, stream.read_line(&mut line)).await.unwrap().unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}
