//! Whether an instance answers: a connection and the head of an HTTP answer, or the settings that HTTP/2 begins with.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use skylift_sandbox::{Door, Family, Listening};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::astray::Astray;
use crate::doors::connect;
use crate::meters::Read;

/// Between two attempts: at first, and at most.
const FIRST: Duration = Duration::from_millis(5);
const LAST: Duration = Duration::from_millis(250);
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// More ports than anybody reads.
const PORTS_SHOWN: usize = 8;
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
}

/// How an instance did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unmet {
    #[error("nothing accepts connections on PORT of 0.0.0.0")]
    Connection,
    #[error(
        "it listens on port {ports}, not on PORT ({own}): have it listen on 0.0.0.0 and the port that the variable PORT names"
    )]
    Elsewhere { own: u16, ports: String },
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
/// How often it is looked for what else it does, then.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A start that is waited for.
pub(super) struct Start<'p> {
    door: &'p Door,
    wanted: Wanted<'p>,
    host: &'p str,
    listening: Listening,
    began: Instant,
    looked: Option<Instant>,
    pause: Duration,
    told: Option<Unmet>,
    meter: Read,
    astray: Astray,
}

/// How a start goes.
#[derive(Debug)]
pub(super) enum Goes {
    /// It answers.
    Ready,
    /// It does not answer yet, and why.
    On(Unmet),
    /// It never will.
    Astray(Unmet),
}

impl<'p> Start<'p> {
    /// `meter`: what it has used of processors.
    pub(super) fn new(door: &'p Door, wanted: Wanted<'p>, host: &'p str, listening: Listening, meter: Read) -> Self {
        let (began, astray) = (Instant::now(), Astray::default());
        Self { door, wanted, host, listening, began, looked: None, pause: FIRST, told: None, meter, astray }
    }

    /// Returns as soon as it answers, and before that for each way in which it does not; of what every start goes through, only what
    /// lasts.
    pub(super) async fn goes(&mut self) -> Goes {
        while let Err(unmet) = check(self.door, self.wanted, self.host, PATIENCE).await {
            sleep(self.pause).await;
            self.pause = (self.pause * 3 / 2).min(LAST);
            let is_usual = !matches!(unmet, Unmet::Status { .. });
            let is_early = self.began.elapsed() < QUIET || self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY);
            if is_usual && is_early {
                continue;
            }
            self.looked = Some(Instant::now());
            let own = self.door.address(Family::V4).port();
            let unmet = looked_into(unmet, self.listening.clone(), own).await;
            if self.astray.is_given_up(&unmet, (self.meter)(), Instant::now()) {
                return Goes::Astray(unmet);
            }
            if self.told.as_ref() != Some(&unmet) {
                self.told = Some(unmet.clone());
                return Goes::On(unmet);
            }
        }
        Goes::Ready
    }
}

/// Whoever listens somewhere else has missed what PORT is for.
async fn looked_into(unmet: Unmet, listening: Listening, own: u16) -> Unmet {
    if unmet != Unmet::Connection {
        return unmet;
    }
    let ports = tokio::task::spawn_blocking(move || listening.ports()).await.unwrap_or_default();
    elsewhere(own, &ports).unwrap_or(unmet)
}

fn elsewhere(own: u16, ports: &BTreeSet<u16>) -> Option<Unmet> {
    let shown: Vec<String> = ports.iter().take(PORTS_SHOWN).map(u16::to_string).collect();
    let is_elsewhere = !shown.is_empty() && !ports.contains(&own);
    is_elsewhere.then(|| Unmet::Elsewhere { own, ports: shown.join(", ") })
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
    fn who_listens_on_another_port_is_told_which_and_what_port_is_for() {
        let told = |ports: &[u16]| elsewhere(8080, &ports.iter().copied().collect()).map(|unmet| unmet.to_string());
        let expected = "it listens on port 3000, 9229, not on PORT (8080): have it listen on 0.0.0.0 and the port that the \
                        variable PORT names";
        assert_eq!(told(&[9229, 3000]).as_deref(), Some(expected));
        assert_eq!(told(&[]), None, "it listens nowhere");
        assert_eq!(told(&[8080, 9229]), None, "the port is right, and the address is not");
    }

    #[test]
    fn only_the_beginning_of_an_http_answer_is_one() {
        assert_eq!(status(b"HTTP/1.1 200"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503"), Some(503));
        for other in [&b"HTTP/2.0 200"[..], b"HTTP/1.1 2x0", b"SSH-2.0-Open", b""] {
            assert_eq!(status(other), None);
        }
    }
}
