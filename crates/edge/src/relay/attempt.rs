//! One request to one instance, up to what the client can be given at once.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Instant;

use skylift_balance::{Failure, InFlight};
use skylift_model::program::Protocol;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::framing::Framing;
use super::head::{self, Asked, Head, Read};
use super::reframe::Reframe;
use super::{Relay, request};
use crate::now::now;
use crate::program::{Failed, HEAD_WITHIN, REST_WITHIN, SMALL_BYTES_MAX, connect, raw};
use crate::routes::table::Kind;

/// How much is read at once.
const READ_BYTES: usize = 32 << 10;
/// How long the head of an answer may be.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How many bytes of interim answers may come before it.
const INTERIM_BYTES_MAX: usize = 4 << 20;

thread_local! {
    // What a thread reads to; requests that wait hold none of it.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// What of an answer is here before any of it is passed on.
pub(super) struct Front {
    pub(super) head: Head,
    /// For the client: its head, and what there is of its body.
    pub(super) bytes: Vec<u8>,
    /// How many bytes of the body, as the instance means it, are in them.
    pub(super) body_bytes: u64,
    pub(super) rest: Reframe,
}

/// What was read before a head is complete.
#[derive(Default)]
struct Before {
    held: Vec<u8>,
    interim_bytes: usize,
}

/// What some bytes come to.
enum Come {
    More,
    Front(Front),
    No(Failed),
}

#[derive(Debug, thiserror::Error)]
#[error("the connection was closed")]
struct Closed;

impl Relay {
    /// Asks one instance. `None`: it speaks another protocol, or the request is not as plain as it seemed.
    pub(super) async fn attempt(&self, to: &InFlight, request: &[u8]) -> Result<Option<(TcpStream, Front)>, Failed> {
        if to.protocol() != Protocol::Http1 {
            return Ok(None);
        }
        let Some(request) = self.for_instance(request) else { return Ok(None) };
        if let Some(stream) = raw::take(to.id(), Instant::now()) {
            match self.exchange(stream, to, &request).await {
                // Closed as it waited, which says nothing of the instance.
                Err(Failed { how: Failure::Reset, .. }) => {}
                answered => return answered.map(Some),
            }
        }
        let stream = connect(&*self.gateway.instances, to).await?;
        self.exchange(stream, to, &request).await.map(Some)
    }

    /// The request as the instance gets it.
    fn for_instance(&self, head: &[u8]) -> Option<Vec<u8>> {
        let clients = &self.gateway.clients;
        let is_proxied = clients.is_trusted(self.peer);
        let said = is_proxied.then(|| request::forwarded_proto(head)).flatten();
        let scheme = clients.scheme_said(self.peer, said);
        let known =
            request::Known { client: self.note.client.ip(), scheme: scheme.as_str(), id: self.note.id.as_str() };
        let mut out = Vec::with_capacity(head.len() + 192);
        request::write(head, &known, &mut out).map(|()| out)
    }

    async fn exchange(
        &self,
        mut stream: TcpStream,
        to: &InFlight,
        request: &[u8],
    ) -> Result<(TcpStream, Front), Failed> {
        let reset = |error| Failed::reset(to.id(), error);
        let answered = timeout(HEAD_WITHIN, async {
            stream.write_all(request).await.map_err(reset)?;
            self.read_front(&mut stream, to).await
        });
        let mut front = answered.await.map_err(|_| Failed::timed_out(to.id()))??;
        if let Framing::Length(length @ ..=SMALL_BYTES_MAX) = front.head.framing {
            let left = length.saturating_sub(front.body_bytes);
            if left > 0 {
                // One that takes its time is a stream.
                let filled = timeout(REST_WITHIN, front.fill(&mut stream, left)).await;
                filled.unwrap_or(Ok(())).map_err(|error| Failed::cut(to.id(), error))?;
            }
        }
        Ok((stream, front))
    }

    /// Reads until the head is there.
    async fn read_front(&self, stream: &mut TcpStream, to: &InFlight) -> Result<Front, Failed> {
        let mut before = Before::default();
        poll_fn(|cx| {
            READ.with_borrow_mut(|buffer| {
                loop {
                    let mut read = ReadBuf::new(buffer);
                    let come = match ready!(Pin::new(&mut *stream).poll_read(cx, &mut read)) {
                        Ok(()) if read.filled().is_empty() => return Poll::Ready(Err(Failed::reset(to.id(), Closed))),
                        Ok(()) => self.take_in(read.filled(), &mut before, to),
                        Err(error) => return Poll::Ready(Err(Failed::reset(to.id(), error))),
                    };
                    match come {
                        Come::More => {}
                        Come::Front(front) => return Poll::Ready(Ok(front)),
                        Come::No(failed) => return Poll::Ready(Err(failed)),
                    }
                }
            })
        })
        .await
    }

    /// Looks at what was read, behind what was read before.
    fn take_in(&self, read: &[u8], before: &mut Before, to: &InFlight) -> Come {
        let ambiguous = || Come::No(Failed::ambiguous(to.id()));
        let held = std::mem::take(&mut before.held);
        let joined = if held.is_empty() { None } else { Some([&held, read].concat()) };
        let mut bytes = joined.as_deref().unwrap_or(read);
        let asked = self.asked();
        loop {
            let mut out = Vec::with_capacity(bytes.len() + 256);
            match head::convert(bytes, &asked, &mut out) {
                Read::Incomplete if bytes.len() > HEAD_BYTES_MAX => return ambiguous(),
                Read::Incomplete => {
                    before.held = bytes.to_vec();
                    return Come::More;
                }
                Read::Interim(length) => {
                    before.interim_bytes = before.interim_bytes.saturating_add(length);
                    if before.interim_bytes > INTERIM_BYTES_MAX {
                        return ambiguous();
                    }
                    bytes = bytes.get(length..).unwrap_or_default();
                }
                Read::Head(head) => {
                    let body = bytes.get(head.length..).unwrap_or_default();
                    return Front::new(head, out, body).map_or_else(ambiguous, Come::Front);
                }
                Read::NoAnswer(status) => return Come::No(Failed::no_answer(to.id(), status)),
                Read::Wrong => return ambiguous(),
            }
        }
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            is_head: self.method == http::Method::HEAD,
            host: &self.note.host,
            id: self.note.id.as_str(),
            is_unlisted: self.route.kind == Kind::Deployment,
            now: now(),
        }
    }
}

impl Front {
    /// `bytes` are the client's head, `body` what came behind the instance's.
    fn new(mut head: Head, mut bytes: Vec<u8>, body: &[u8]) -> Option<Self> {
        let mut rest = Reframe::of(head.framing);
        let taken = rest.take(body, &mut bytes).ok()?;
        // What nobody asked for is not the beginning of the next answer.
        head.keeps &= !taken.is_too_much && head.framing != Framing::ToTheEnd;
        Some(Self { head, bytes, body_bytes: taken.body_bytes, rest })
    }

    /// Waits for the rest of a body of a known length.
    async fn fill(&mut self, stream: &mut TcpStream, mut left: u64) -> std::io::Result<()> {
        self.bytes.reserve(usize::try_from(left).unwrap_or(0));
        while left > 0 {
            let read = (&mut *stream).take(left).read_buf(&mut self.bytes).await? as u64;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            left -= read;
            self.body_bytes += read;
            self.rest = if left == 0 { Reframe::Done } else { Reframe::Length(left) };
        }
        Ok(())
    }
}
