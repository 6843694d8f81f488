//! Whether an instance answers: a connection and the head of an HTTP answer, or the settings that HTTP/2 begins with.

use std::io;
use std::time::{Duration, Instant};

use skylift_sandbox::Door;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::doors::connect;

/// Between two attempts: at first, and at most.
const FIRST: Duration = Duration::from_millis(5);
const LAST: Duration = Duration::from_millis(250);
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The beginning of an answer's first line: `HTTP/1.1 200`.
const STATUS_LINE_BYTES: usize = 12;
/// What a client of HTTP/2 begins with: the preface, and settings of which none differs from what they are anyway.
const HTTP2_BEGINS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The head of a frame of HTTP/2, and which of its bytes says that it is of settings.
const FRAME_HEAD_BYTES: usize = 9;
const FRAME_KIND_AT: usize = 3;
const SETTINGS: u8 = 4;

/// What counts as an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'p> {
    /// Any answer of HTTP/1.1.
    Any,
    /// 200 to 399 at this path.
    Good(&'p str),
    /// What a server of HTTP/2 begins with.
    Http2,
    /// A connection: whoever is busy takes its time to answer.
    Connection,
}

/// How an instance did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unmet {
    #[error("nothing accepts connections on PORT of 0.0.0.0")]
    Connection,
    #[error("GET {path} was answered with the status {status}, not with 200 to 399")]
    Status { path: String, status: u16 },
    #[error("a connection was accepted and no answer of HTTP came")]
    NoHttp,
    #[error("a connection was accepted and nothing of HTTP/2 came")]
    NoHttp2,
    #[error("no answer came within {} s", .0.as_secs_f32())]
    Late(Duration),
}

/// For how long a start may go without a word.
const QUIET: Duration = Duration::from_secs(5);

/// Returns as soon as it answers. `tell` hears once of each way in which it does not; of what every start goes through, only where
/// that lasts.
pub(super) async fn until_it_answers(door: &Door, wanted: Wanted<'_>, host: &str, mut tell: impl FnMut(&Unmet)) {
    let (began, mut pause, mut told) = (Instant::now(), FIRST, None);
    while let Err(unmet) = check(door, wanted, host, PATIENCE).await {
        let is_usual = !matches!(unmet, Unmet::Status { .. });
        if told.as_ref() != Some(&unmet) && !(is_usual && began.elapsed() < QUIET) {
            tell(&unmet);
            told = Some(unmet);
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LAST);
    }
}

/// Asks once.
///
/// # Errors
/// How it did not answer, or not in time.
pub(super) async fn check(door: &Door, wanted: Wanted<'_>, host: &str, within: Duration) -> Result<(), Unmet> {
    let asking = async {
        let stream = connect(door).await.map_err(|_| Unmet::Connection)?;
        match wanted {
            Wanted::Any => ask(stream, "/", host).await.map(drop).map_err(|_| Unmet::NoHttp),
            Wanted::Good(path) => match ask(stream, path, host).await.map_err(|_| Unmet::NoHttp)? {
                200..400 => Ok(()),
                status => Err(Unmet::Status { path: path.to_owned(), status }),
            },
            Wanted::Http2 => match greet(stream).await {
                Ok(SETTINGS) => Ok(()),
                _ => Err(Unmet::NoHttp2),
            },
            Wanted::Connection => Ok(()),
        }
    };
    timeout(within, asking).await.unwrap_or(Err(Unmet::Late(within)))
}

/// The status of the answer to one request.
async fn ask(mut stream: TcpStream, path: &str, host: &str) -> io::Result<u16> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: skylift-health\r\naccept: */*\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut line = [0; STATUS_LINE_BYTES];
    stream.read_exact(&mut line).await?;
    status(&line).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The kind of the first frame that a server of HTTP/2 sends.
async fn greet(mut stream: TcpStream) -> io::Result<u8> {
    stream.write_all(HTTP2_BEGINS).await?;
    let mut head = [0; FRAME_HEAD_BYTES];
    stream.read_exact(&mut head).await?;
    Ok(head[FRAME_KIND_AT])
}

fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (_, status) = rest.split_first()?;
    std::str::from_utf8(status).ok()?.trim_start().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_an_http_answer_is_one() {
        assert_eq!(status(b"HTTP/1.1 200"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503"), Some(503));
        for other in [&b"HTTP/2.0 200"[..], b"HTTP/1.1 2x0", b"SSH-2.0-Open", b""] {
            assert_eq!(status(other), None);
        }
    }
}
