//! An answer, or the page in place of one, on its way to the client.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ACCEPT, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method};
use skylift_balance::InFlight;
use tokio::io::{AsyncReadExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::attempt::Front;
use super::reframe::{Broken, Reframe};
use super::{LOOK_EVERY, Passed, Relay};
use crate::gateway::Gateway;
use crate::gateway::from_program::told;
use crate::hung_up::{End, end_of};
use crate::now::now;
use crate::pace::LEFT;
use crate::plain::judge::{Verdict, judge};
use crate::plain::note::{Ending, Note};
use crate::plain::write::write_all;
use crate::program::{Trouble, drop_all, raw};
use crate::routes::table::{Kind, Route};
use crate::transport::Transport;
use crate::wire;

/// How much of a long answer is read at once.
const READ_BYTES: usize = 64 << 10;
/// How much of the next requests is read while an answer is on its way.
const AHEAD_BYTES_MAX: usize = 16 << 10;
/// After how many of them others on this thread have their turn.
const READS_IN_A_ROW: u64 = 4;

/// An answer that has begun.
pub(super) struct Begun {
    pub(super) stream: TcpStream,
    pub(super) in_flight: InFlight,
    pub(super) front: Front,
}

/// Records the answer when it is dropped, for a connection may be cut at any time.
struct Recorded {
    note: Note<'static>,
    gateway: Arc<Gateway>,
    route: Arc<Route>,
    sent: u64,
    ending: Ending,
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.note.record(&self.gateway.access, &self.route.counters, self.sent, self.ending);
    }
}

/// What happens while more of an answer is waited for.
enum Event {
    /// So many bytes of it; none at its end.
    Read(std::io::Result<usize>),
    ClientLeft,
}

impl Relay {
    pub(super) async fn deliver<T: Transport>(self, begun: Begun, io: &mut T, unread: &mut Vec<u8>) -> Passed {
        let Begun { stream, in_flight, front } = begun;
        let length = self.length;
        let mut recorded = self.recorded(front.head.status.as_u16());
        let stall = recorded.gateway.limits.write_timeout;
        let mut bytes: &[u8] = &front.bytes;
        let passed = if front.rest.is_done() {
            release(in_flight, stream, front.head.keeps);
            let written = write_all(io, &mut bytes, stall).await.is_ok();
            recorded.sent = front.body_bytes.saturating_sub(bytes.len() as u64);
            written
        } else {
            let stream = Streaming { stream, in_flight, keeps: front.head.keeps, rest: front.rest };
            match write_all(io, &mut bytes, stall).await {
                Ok(()) => {
                    recorded.sent = front.body_bytes;
                    stream.run(io, unread, &mut recorded).await
                }
                Err(_) => false,
            }
        };
        if !passed {
            return Passed::Closed;
        }
        recorded.ending = Ending::Complete;
        unread.drain(..length);
        Passed::On
    }

    fn recorded(self, status: u16) -> Recorded {
        let Self { gateway, route, mut note, .. } = self;
        note.status = status;
        Recorded { note, gateway, route, sent: 0, ending: Ending::Cut }
    }

    /// Tells the client that no instance has answered.
    pub(super) async fn refuse<T: Transport>(self, io: &mut T, unread: &mut Vec<u8>, trouble: &Trouble) -> Passed {
        let deployment = self.route.target.as_ref().map(|target| &target.deployment);
        let page = told(trouble, deployment, &self.note.id);
        let (mut head, body) = page.respond(&asks(unread)).into_parts();
        let body = body.into_bytes().unwrap_or_default();
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let mut out = wire::head(head.status, &head.headers);
        if self.route.kind == Kind::Deployment {
            wire::field(&mut out, "x-robots-tag", b"noindex");
        }
        wire::field(&mut out, "x-request-id", self.note.id.as_str().as_bytes());
        wire::end(&mut out, now());
        let is_head = self.method == Method::HEAD;
        if !is_head {
            out.extend_from_slice(&body);
        }
        let (length, stall) = (self.length, self.gateway.limits.write_timeout);
        let mut recorded = self.recorded(head.status.as_u16());
        if write_all(io, &mut out.as_slice(), stall).await.is_err() {
            return Passed::Closed;
        }
        recorded.sent = if is_head { 0 } else { body.len() as u64 };
        recorded.ending = Ending::Complete;
        unread.drain(..length);
        Passed::On
    }
}

/// What the form of a page depends on.
fn asks(request: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Verdict::Plain(plain) = judge(request) {
        let accept = plain.asks.iter().flatten().find(|(name, _)| *name == ACCEPT.as_str());
        headers.extend(accept.and_then(|(_, value)| Some((ACCEPT, HeaderValue::from_bytes(value).ok()?))));
    }
    headers
}

/// Nothing is under way at the instance any more; its connection may be used again.
fn release(in_flight: InFlight, stream: TcpStream, keeps: bool) {
    if in_flight.is_draining() {
        drop_all(in_flight.id());
    } else if keeps {
        raw::give(in_flight.id(), stream, Instant::now());
    }
}

/// An answer that is passed on as it comes.
struct Streaming {
    stream: TcpStream,
    in_flight: InFlight,
    keeps: bool,
    rest: Reframe,
}

impl Streaming {
    /// Whether all of it was passed on.
    async fn run<T: Transport>(mut self, io: &mut T, unread: &mut Vec<u8>, recorded: &mut Recorded) -> bool {
        let stall = recorded.gateway.limits.write_timeout;
        let mut buffer = vec![0; READ_BYTES];
        let mut reads = 0_u64;
        while !self.rest.is_done() {
            let Event::Read(read) = self.next(&mut buffer, (io, unread), stall.min(LEFT)).await else { return false };
            let mut out = Vec::new();
            let taken = match read {
                Ok(0) => self.rest.end(&mut out).map(|()| 0).map_err(Into::into),
                Ok(length) => self.take(buffer.get(..length).unwrap_or_default(), &mut out).map_err(Into::into),
                Err(error) => Err(error.into()),
            };
            let body_bytes = match taken {
                Ok(body_bytes) => body_bytes,
                Err(error) => {
                    let error: crate::body::BodyError = error;
                    tracing::warn!(request.id = %recorded.note.id, error = &*error, "an answer was cut short");
                    return false;
                }
            };
            if write_all(io, &mut out.as_slice(), stall).await.is_err() {
                return false;
            }
            recorded.sent += body_bytes;
            reads += 1;
            if reads.is_multiple_of(READS_IN_A_ROW) {
                tokio::task::yield_now().await;
            }
        }
        release(self.in_flight, self.stream, self.keeps);
        true
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<u64, Broken> {
        let taken = self.rest.take(bytes, out)?;
        self.keeps &= !taken.is_too_much;
        Ok(taken.body_bytes)
    }

    /// Waits for more, or until the client is gone: one that has ended its side may only have said all it had to say, but is gone
    /// where nothing comes for it for so long.
    async fn next<T: Transport>(
        &mut self,
        buffer: &mut [u8],
        (io, unread): (&mut T, &mut Vec<u8>),
        left_within: Duration,
    ) -> Event {
        let gone = async {
            if said_all(io, unread).await.is_ok() {
                sleep(left_within).await;
            }
        };
        tokio::select! {
            biased;
            read = self.stream.read(buffer) => Event::Read(read),
            () = gone => Event::ClientLeft,
        }
    }
}

/// Reads on, until the client has ended its side. Of one that has said too much ahead no more is read; it is looked whether it is there.
async fn said_all<T: Transport>(io: &mut T, unread: &mut Vec<u8>) -> std::io::Result<()> {
    let mut buffer = [0; 512];
    while unread.len() < AHEAD_BYTES_MAX {
        let mut read = ReadBuf::new(&mut buffer);
        poll_fn(|cx| Pin::new(&mut *io).poll_read(cx, &mut read)).await?;
        if read.filled().is_empty() {
            return Ok(());
        }
        unread.extend_from_slice(read.filled());
    }
    while io.socket().is_none_or(|socket| end_of(socket) == End::None) {
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}
