//! One request to one instance, up to what the client can be given at once.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use std::time::Instant;

use skylift_balance::InFlight;
use skylift_model::program::Protocol;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::head::{self, Asked, Head, Read};
use super::reframe::Reframe;
use super::spare::Spare;
use super::{LOOK_EVERY, Relay};
use crate::hung_up::{End, end_of};
use crate::now::now;
use crate::program::framing::{Framing, HEAD_BYTES_MAX};
use crate::program::{Cause, Failed, HEAD_WITHIN, LATE_AFTER, REST_WITHIN, SMALL_BYTES_MAX, connect, raw};
use crate::routes::table::Kind;
use crate::transport::Transport;

/// How much is read at once.
const READ_BYTES: usize = 32 << 10;
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
    pub(super) bytes: Spare,
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
enum Seen {
    More,
    Front(Front),
    No(Failed),
}

/// What comes of a request.
pub(super) enum Come {
    /// An answer, and the connection that it comes by.
    Front(TcpStream, Front),
    /// The instance speaks another protocol.
    Odd,
    /// There is nobody any more to answer.
    ClientLeft,
}

/// How a connection ended.
enum Gone {
    /// Before anything was said.
    Unsaid(Failed),
    Failed(Failed),
}

impl Before {
    fn reset(&self, to: &InFlight, error: impl Into<Cause>) -> Gone {
        let failed = Failed::reset(to.id(), error);
        if self.held.is_empty() && self.interim_bytes == 0 { Gone::Unsaid(failed) } else { Gone::Failed(failed) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the connection was closed")]
struct Closed;

impl Relay {
    /// Asks one instance, for the client at the other end of `io`.
    pub(super) async fn attempt<T: Transport>(&self, to: &InFlight, io: &T) -> Result<Come, Failed> {
        if to.protocol() != Protocol::Http1 {
            return Ok(Come::Odd);
        }
        if let Some(stream) = raw::take(to.id(), Instant::now()) {
            match self.exchange(stream, to, io).await {
                // Closed as it waited, which says nothing of the instance.
                Err(Gone::Unsaid(_)) => {}
                Err(Gone::Failed(failed)) => return Err(failed),
                Ok(come) => return Ok(come),
            }
        }
        let stream = connect(&*self.gateway.instances, to).await?;
        self.exchange(stream, to, io).await.map_err(|(Gone::Unsaid(failed) | Gone::Failed(failed))| failed)
    }

    async fn exchange<T: Transport>(&self, mut stream: TcpStream, to: &InFlight, io: &T) -> Result<Come, Gone> {
        let began = Instant::now();
        let mut front = {
            let mut answered = pin!(async {
                stream.write_all(&self.request).await.map_err(|error| Gone::Unsaid(Failed::reset(to.id(), error)))?;
                self.read_front(&mut stream, to).await
            });
            loop {
                if let Ok(answered) = timeout(LOOK_EVERY, answered.as_mut()).await {
                    break answered?;
                }
                if began.elapsed() >= HEAD_WITHIN {
                    return Err(Gone::Failed(Failed::timed_out(to.id())));
                }
                if began.elapsed() >= LATE_AFTER {
                    to.late(Instant::now());
                }
                if io.socket().is_some_and(|socket| end_of(socket) == End::Gone) {
                    return Ok(Come::ClientLeft);
                }
            }
        };
        if let Framing::Length(length @ ..=SMALL_BYTES_MAX) = front.head.framing {
            let left = length.saturating_sub(front.body_bytes);
            if left > 0 {
                // One that takes its time is a stream.
                let filled = timeout(REST_WITHIN, front.fill(&mut stream, left)).await;
                filled.unwrap_or(Ok(())).map_err(|error| Gone::Failed(Failed::cut(to.id(), error)))?;
            }
        }
        Ok(Come::Front(stream, front))
    }

    /// Reads until the head is there.
    async fn read_front(&self, stream: &mut TcpStream, to: &InFlight) -> Result<Front, Gone> {
        let mut before = Before::default();
        poll_fn(|cx| {
            READ.with_borrow_mut(|buffer| {
                loop {
                    let mut read = ReadBuf::new(buffer);
                    let seen = match ready!(Pin::new(&mut *stream).poll_read(cx, &mut read)) {
                        Ok(()) if read.filled().is_empty() => return Poll::Ready(Err(before.reset(to, Closed))),
                        Ok(()) => self.take_in(read.filled(), &mut before, to),
                        Err(error) => return Poll::Ready(Err(before.reset(to, error))),
                    };
                    match seen {
                        Seen::More => {}
                        Seen::Front(front) => return Poll::Ready(Ok(front)),
                        Seen::No(failed) => return Poll::Ready(Err(Gone::Failed(failed))),
                    }
                }
            })
        })
        .await
    }

    /// Looks at what was read, behind what was read before.
    fn take_in(&self, read: &[u8], before: &mut Before, to: &InFlight) -> Seen {
        let ambiguous = || Seen::No(Failed::ambiguous(to.id()));
        let held = std::mem::take(&mut before.held);
        let joined = if held.is_empty() { None } else { Some([&held, read].concat()) };
        let mut bytes = joined.as_deref().unwrap_or(read);
        let asked = self.asked();
        loop {
            let mut out = Spare::take();
            match head::convert(bytes, &asked, &mut out) {
                Read::Incomplete if bytes.len() > HEAD_BYTES_MAX => return ambiguous(),
                Read::Head(head) if head.length > HEAD_BYTES_MAX => return ambiguous(),
                Read::Incomplete => {
                    before.held = bytes.to_vec();
                    return Seen::More;
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
                    return Front::new(head, out, body).map_or_else(ambiguous, Seen::Front);
                }
                Read::NoAnswer(status) => return Seen::No(Failed::no_answer(to.id(), status)),
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
    fn new(mut head: Head, mut bytes: Spare, body: &[u8]) -> Option<Self> {
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
            let read = (&mut *stream).take(left).read_buf(&mut *self.bytes).await? as u64;
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
