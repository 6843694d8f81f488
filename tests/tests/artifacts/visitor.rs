//! A visitor who asks for every file in every form, plainly and oddly.

use std::time::Duration;

use skylift_tests::Platform;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const APP: &str = "whole";

const PATHS: [&str; 4] = ["/", "/style.css", "/small.txt", "/noise.bin"];
const CODINGS: [&str; 4] = ["identity", "gzip", "br", "zstd"];
/// A request that is answered at once, and one with a header that makes it one for the strict implementation.
const WAYS: [&str; 2] = ["", "keep-alive: timeout=5\r\n"];
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    pub(crate) path: &'static str,
    coding: &'static str,
    way: &'static str,
}

/// Everything that can be asked.
pub(crate) fn everything() -> Vec<Asked> {
    let mut all = Vec::new();
    for path in PATHS {
        for coding in CODINGS {
            all.extend(WAYS.map(|way| Asked { path, coding, way }));
        }
    }
    all
}

impl Asked {
    /// The bytes as they are sent; `None` where it is an error, or less comes than was said.
    pub(crate) async fn ask(&self, platform: &Platform) -> Option<Vec<u8>> {
        let Self { path, coding, way } = self;
        let head = format!("GET {path} HTTP/1.1\r\nhost: {APP}.localhost\r\naccept-encoding: {coding}\r\n{way}\r\n");
        let exchange = async {
            let mut stream = TcpStream::connect(platform.address()).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            answer(&mut stream).await
        };
        tokio::time::timeout(ANSWER_WITHIN, exchange).await.expect("an answer in time")
    }
}

async fn answer(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        return None;
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
    let mut body = bytes.split_off(end);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(body)
}
