//! A client that sends any bytes and believes nothing.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether as many bytes came as were announced.
    pub(crate) complete: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} twice");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The status and the body, for short comparisons.
    pub(crate) fn short(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }

    /// Every header but those that differ from answer to answer.
    pub(crate) fn lasting_headers(&self) -> Vec<(String, String)> {
        let changing = ["date", "x-request-id", "connection"];
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| !changing.contains(&name.as_str()));
        headers.sort();
        headers
    }
}

/// A connection with the least room for what is not read.
pub(crate) async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2304).unwrap();
    socket.connect(address).await.unwrap()
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), unread: Vec::new() }
    }

    /// Connects from this address.
    pub(crate) async fn connect_from(from: [u8; 4], address: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        Self { stream: socket.connect(address).await.unwrap(), unread: Vec::new() }
    }

    /// Is gone, and says so.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Sends nothing more.
    pub(crate) async fn end(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Everything the server says until it closes.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.unread)
    }

    pub(crate) async fn ask(&mut self, method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        self.write(request.as_bytes()).await;
        self.read(method).await
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        // A server that has already refused may close while the rest is on its way.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Reads one answer to a request with this method.
    pub(crate) async fn read(&mut self, method: &str) -> Answer {
        let mut answer = self.read_head().await;
        let bodiless = method == "HEAD" || matches!(answer.status, 101 | 204 | 304);
        if answer.header("transfer-encoding") == Some("chunked") && !bodiless {
            (answer.body, answer.complete) = self.read_chunks().await;
            return answer;
        }
        let length = answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
        let wanted = if bodiless { 0 } else { length.expect("every answer of the edge has a length") };
        answer.complete = self.fill(wanted).await;
        answer.body = self.unread.drain(..wanted.min(self.unread.len())).collect();
        answer
    }

    /// Reads the head of an answer, and leaves its body.
    pub(crate) async fn read_head(&mut self) -> Answer {
        let end = loop {
            match self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => assert!(self.more().await, "closed in the head: {:?}", String::from_utf8_lossy(&self.unread)),
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let mut lines = std::str::from_utf8(&head).unwrap().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: Vec::new(), complete: false }
    }

    /// Reads a body in chunks; says whether it came to its end.
    async fn read_chunks(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match self.unread.windows(2).position(|two| two == b"\r\n") {
                    Some(end) => break end,
                    None if !self.more().await => return (body, false),
                    None => {}
                }
            };
            let head: Vec<u8> = self.unread.drain(..line + 2).collect();
            let size = usize::from_str_radix(std::str::from_utf8(&head[..line]).unwrap(), 16).unwrap();
            if !self.fill(size + 2).await {
                return (body, false);
            }
            let chunk: Vec<u8> = self.unread.drain(..size + 2).collect();
            if size == 0 {
                return (body, true);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// Reads a body of this length after [`Client::read_head`].
    pub(crate) async fn read_body(&mut self, length: usize) -> Vec<u8> {
        self.fill(length).await;
        self.unread.drain(..length.min(self.unread.len())).collect()
    }

    /// Whether the server closes now, with nothing more to say.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.more().await
    }

    async fn fill(&mut self, length: usize) -> bool {
        while self.unread.len() < length {
            if !self.more().await {
                return false;
            }
        }
        true
    }

    async fn more(&mut self) -> bool {
        let mut buffer = vec![0; 64 << 10];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("the server says something");
        let read = read.unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..read]);
        read > 0
    }
}
