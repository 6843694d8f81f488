//! Reading heads from a stream and answering in the proxy's own name.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What came before the end of a head or of patience.
pub(super) enum Received {
    /// The head with its empty line, and what came in behind it.
    Head {
        head: Vec<u8>,
        rest: Vec<u8>,
    },
    /// The connection ended without a whole head.
    Nothing,
    TooMuch,
}

const END: &[u8] = b"\r\n\r\n";

/// Reads up to the first empty line, or `limit` bytes.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<Received> {
    let mut bytes = Vec::new();
    read_head_after(stream, &mut bytes, limit).await
}

/// Like [`read_head`], where `bytes` have been read already.
pub(super) async fn read_head_after(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
    limit: usize,
) -> io::Result<Received> {
    let mut searched = 0;
    loop {
        let fresh = bytes.get(searched..).unwrap_or_default();
        if let Some(place) = fresh.windows(END.len()).position(|window| window == END) {
            let end = searched + place + END.len();
            if end > limit {
                return Ok(Received::TooMuch);
            }
            let rest = bytes.split_off(end);
            return Ok(Received::Head { head: std::mem::take(bytes), rest });
        }
        if bytes.len() >= limit {
            return Ok(Received::TooMuch);
        }
        searched = bytes.len().saturating_sub(END.len() - 1);
        bytes.reserve(1024);
        if stream.read_buf(bytes).await? == 0 {
            return Ok(Received::Nothing);
        }
    }
}

/// Answers with one sentence and ends the connection.
pub(super) async fn say(mut guest: TcpStream, status: u16, text: &str) {
    answer(&mut guest, status, text).await;
}

/// Answers with one sentence; nothing may be written afterwards.
pub(super) async fn answer(guest: &mut TcpStream, status: u16, text: &str) {
    let reason = match status {
        400 => "Bad Request",
        403 => "Forbidden",
        408 => "Request Timeout",
        411 => "Length Required",
        431 => "Request Header Fields Too Large",
        504 => "Gateway Timeout",
        _ => "Bad Gateway",
    };
    let length = text.len() + 1;
    let answer = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{text}\n"
    );
    match guest.write_all(answer.as_bytes()).await {
        Ok(()) => say_goodbye(guest).await,
        Err(error) => tracing::debug!(%error, "answer a guest"),
    }
}

/// Ends our side and swallows what still comes, for a short while: closing with unread bytes would reset the
/// connection, and the guest could lose the answer.
pub(super) async fn say_goodbye(guest: &mut TcpStream) {
    const SWALLOWED_MAX: u64 = 256 * 1024;
    let swallow = async {
        guest.shutdown().await?;
        tokio::io::copy(&mut guest.take(SWALLOWED_MAX), &mut tokio::io::sink()).await
    };
    let _best_effort = timeout(Duration::from_secs(1), swallow).await;
}
