//! HTTP by hand: one connection for each request, so that a test decides over every byte of it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wait::PATIENCE;

/// A request, before it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    length: Option<u64>,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target, headers: Vec::new(), body: Vec::new(), length: None }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn host(self, host: &str) -> Self {
        self.header("host", host)
    }

    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = bytes.into();
        self
    }

    #[must_use]
    pub fn json(self, value: &Value) -> Self {
        self.header("content-type", "application/json").body(value.to_string())
    }

    /// Announces another length than the body has.
    #[must_use]
    pub fn announcing(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// Sends it and reads the answer to its end.
    pub async fn send(self, to: SocketAddr) -> Response {
        let (method, target) = (self.method.clone(), self.target.clone());
        self.try_send(to).await.unwrap_or_else(|| panic!("the connection broke without an answer: {method} {target}"))
    }

    /// Like [`Self::send`], for a server that may be killed meanwhile: no answer is one too. A server that answers
    /// before it has read the whole body, and closes, is no error: that is what it should do.
    pub async fn try_send(self, to: SocketAddr) -> Option<Response> {
        self.try_send_within(PATIENCE, to).await
    }

    /// Like [`Self::try_send`], where the answer may take so long.
    pub async fn try_send_within(self, limit: Duration, to: SocketAddr) -> Option<Response> {
        let exchange = async {
            let (mut reader, mut writer) = TcpStream::connect(to).await.ok()?.into_split();
            let sending = async {
                let _ = writer.write_all(&self.head()).await;
                let _ = writer.write_all(&self.body).await;
                let _ = writer.flush().await;
            };
            let mut answer = Vec::new();
            let _ = tokio::join!(sending, reader.read_to_end(&mut answer));
            Response::parse(&answer, &self.method)
        };
        timeout(limit, exchange).await.expect("an answer in time")
    }

    /// Sends it and reads one byte of its answer; no more is read as long as what is returned lives.
    pub async fn first_byte(self, to: SocketAddr) -> TcpStream {
        let exchange = async {
            let mut stream = TcpStream::connect(to).await?;
            stream.write_all(&[self.head(), self.body].concat()).await?;
            stream.read_u8().await?;
            Ok::<_, std::io::Error>(stream)
        };
        timeout(PATIENCE, exchange).await.expect("an answer in time").unwrap()
    }

    /// Sends so many bytes of it, head included, and is gone without waiting for an answer.
    pub async fn cut(self, to: SocketAddr, bytes: usize) {
        let whole = [self.head(), self.body].concat();
        if let Ok(mut stream) = TcpStream::connect(to).await {
            let _gone_meanwhile = stream.write_all(&whole[..bytes.min(whole.len())]).await;
        }
    }

    /// How many bytes it has, head included.
    pub fn length(&self) -> usize {
        self.head().len() + self.body.len()
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = self.length.or_else(|| (!self.body.is_empty()).then_some(self.body.len() as u64));
        let is_chunked = self.headers.iter().any(|(name, _)| name == "transfer-encoding");
        if let Some(length) = length.filter(|_| !is_chunked) {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

impl Response {
    /// `None` where the answer broke off.
    fn parse(bytes: &[u8], method: &str) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).expect("a head of text");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers: Vec<_> = lines.filter_map(header).collect();
        let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = &bytes[end + 4..];
        let body = if is_chunked && method != "HEAD" { unchunk(body)? } else { body.to_vec() };
        let answer = Self { status, headers, body };
        let length: Option<usize> = answer.header("content-length").parse().ok();
        let is_whole = method == "HEAD" || length.is_none_or(|length| answer.body.len() == length);
        is_whole.then_some(answer)
    }

    /// The first header of that name, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.brief()))
    }

    /// Status and body, as in `200 hello`.
    pub fn brief(&self) -> String {
        format!("{} {}", self.status, self.text().trim_end())
    }

    /// Fails the test unless this is an error of ours with that status and code, a message and a hint.
    #[track_caller]
    pub fn is_error(&self, status: u16, code: &str) -> &Self {
        let error = &self.json()["error"];
        assert_eq!((self.status, error["code"].as_str()), (status, Some(code)), "{}", self.brief());
        for part in ["message", "hint"] {
            assert!(error[part].as_str().is_some_and(|text| !text.is_empty()), "no {part} in {}", self.brief());
        }
        self
    }
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 2 + size..)?.strip_prefix(b"\r\n")?;
    }
}
