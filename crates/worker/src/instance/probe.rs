//! Whether an instance answers: a connection and the head of an HTTP answer.

use std::io;
use std::time::Duration;

use skylift_sandbox::Door;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::doors::connect;

/// Between two attempts: at first, and at most.
const FIRST: Duration = Duration::from_millis(5);
const LAST: Duration = Duration::from_millis(250);
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The beginning of an answer's first line: `HTTP/1.1 200`.
const STATUS_LINE_BYTES: usize = 12;

/// Returns as soon as it answers; with a path, as soon as that is answered with 200 to 399.
pub(super) async fn until_it_answers(door: &Door, path: Option<&str>, host: &str) {
    let mut pause = FIRST;
    loop {
        if let Ok(Ok(status)) = timeout(PATIENCE, ask(door, path.unwrap_or("/"), host)).await
            && (path.is_none() || (200..400).contains(&status))
        {
            return;
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LAST);
    }
}

/// The status of the answer to one request.
async fn ask(door: &Door, path: &str, host: &str) -> io::Result<u16> {
    let mut stream = connect(door).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: skylift-health\r\naccept: */*\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut line = [0; STATUS_LINE_BYTES];
    stream.read_exact(&mut line).await?;
    status(&line).ok_or_else(|| io::ErrorKind::InvalidData.into())
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
