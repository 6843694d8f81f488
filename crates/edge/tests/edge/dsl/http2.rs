//! A client of HTTP/2 that sends any frame.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;
use super::client::narrow;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) struct Http2 {
    stream: TcpStream,
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A header block that needs no table: literals, not indexed, not compressed.
pub(crate) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            let length = text.len();
            if length < 127 {
                block.push(u8::try_from(length).unwrap());
            } else {
                block.push(127);
                let mut rest = length - 127;
                while rest >= 128 {
                    block.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                block.push(u8::try_from(rest).unwrap());
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

pub(crate) fn get<'h>(host: &'h str, path: &'h str) -> Vec<(&'h str, &'h str)> {
    vec![(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", path)]
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

impl Http2 {
    /// Connects with these settings of its own.
    pub(crate) async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        Self::begin(TcpStream::connect(address).await.unwrap(), settings).await
    }

    /// The same from another address of this machine.
    pub(crate) async fn connect_from(from: [u8; 4], address: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        Self::begin(socket.connect(address).await.unwrap(), &[]).await
    }

    /// The same, with hardly any room for what it does not read: it is sooner clear that it does not.
    pub(crate) async fn connect_narrow(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        Self::begin(narrow(address).await, settings).await
    }

    async fn begin(mut stream: TcpStream, settings: &[(u16, u32)]) -> Self {
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        // Who is not let in finds out when there is no answer.
        let opening = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &payload)[..]].concat();
        let _ = stream.write_all(&opening).await;
        Self { stream }
    }

    /// Sends frames; whether the server still takes them.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(Duration::from_secs(5), self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Sends frames for as long as the server lets it wait; whether the connection still stands.
    pub(crate) async fn press(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub(crate) async fn ask(&mut self, stream: u32, headers: &[(&str, &str)]) {
        self.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(headers))).await;
    }

    /// The next frame; `None` when the server has closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        timeout(PATIENCE, async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        })
        .await
        .expect("the server says something")
    }

    /// The first frame that is an answer to `stream` or the end of it or of everything.
    pub(crate) async fn verdict(&mut self, stream: u32) -> Verdict {
        while let Some(frame) = self.next().await {
            match frame.kind {
                // The status comes first; this is the one-byte form that the static table has for 200.
                HEADERS if frame.stream == stream && frame.payload.first() == Some(&0x88) => return Verdict::Ok,
                HEADERS if frame.stream == stream => return Verdict::Refused,
                RST_STREAM if frame.stream == stream => return Verdict::Reset,
                GOAWAY => return Verdict::GoAway,
                _ => {}
            }
        }
        Verdict::Closed
    }

    /// All bytes of the body of a stream.
    pub(crate) async fn body(&mut self, stream: u32) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(frame) = self.next().await {
            if frame.kind == DATA && frame.stream == stream {
                body.extend_from_slice(&frame.payload);
            }
            if frame.stream == stream && matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
                break;
            }
        }
        body
    }

    /// Whether the server ends the connection, whatever it says before.
    pub(crate) async fn ends(&mut self) -> bool {
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY && frame.payload[4..8] != [0; 4] {
                return true;
            }
        }
        true
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    /// An answer other than 200.
    Refused,
    Reset,
    GoAway,
    Closed,
}
