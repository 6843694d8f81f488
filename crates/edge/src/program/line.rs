//! Connections to instances that wait for their next request: each thread has its own, each for one instance.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use skylift_balance::TargetId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::upstream::SentBody;

/// How much of an answer may come before its head is there: interim answers (1xx) may come without end, and reading them
/// keeps everybody else on this thread waiting. What of a body is read together with its head counts, too: several of the
/// buffers that are read into.
const BEFORE_HEAD_BYTES_MAX: usize = 4 << 20;
/// No bound.
const ANY: usize = usize::MAX;

/// A connection's sending end.
pub(super) struct Sender {
    sending: SendRequest<SentBody>,
    room: Room,
}

/// How many bytes may be read on a connection before it counts as broken.
#[derive(Clone)]
struct Room(Arc<AtomicUsize>);

impl Sender {
    /// Sends a request; the head of its answer has to come within bounds.
    pub(super) async fn send(
        &mut self,
        request: Request<SentBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<SentBody>>> {
        self.room.0.store(BEFORE_HEAD_BYTES_MAX, Ordering::Relaxed);
        let answered = self.sending.try_send_request(request).await;
        self.room.0.store(ANY, Ordering::Relaxed);
        answered
    }
}

/// A stream that breaks when more is read than there is room for.
struct Bounded {
    stream: TcpStream,
    room: Room,
}

impl AsyncRead for Bounded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        let room = this.room.0.load(Ordering::Relaxed);
        if room == ANY {
            return Poll::Ready(Ok(()));
        }
        match room.checked_sub(read) {
            Some(left) => this.room.0.store(left, Ordering::Relaxed),
            None => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// How long one waits. Shorter than servers keep theirs (gunicorn 2 s, Node 5 s), so that none is closed under a request.
const IDLE: Duration = Duration::from_millis(1500);
/// How many wait for one instance on one thread.
const WAITING_MAX: usize = 256;
/// From how many instances on those that are gone are looked for.
const TARGETS_MANY: usize = 1024;

struct Waiting {
    sender: Sender,
    since: Instant,
}

thread_local! {
    static LINES: RefCell<HashMap<TargetId, Vec<Waiting>>> = RefCell::default();
}

/// The connection of this thread that has waited least.
pub(super) fn take(target: &TargetId, now: Instant) -> Option<Sender> {
    LINES.with_borrow_mut(|lines| {
        let waiting = lines.get_mut(target)?;
        while let Some(Waiting { sender, since }) = waiting.pop() {
            if now.saturating_duration_since(since) >= IDLE {
                waiting.clear();
                break;
            }
            if sender.sending.is_ready() {
                return Some(sender);
            }
        }
        lines.remove(target);
        None
    })
}

/// Keeps a connection for the next request.
pub(super) fn give(target: TargetId, sender: Sender, now: Instant) {
    if sender.sending.is_closed() {
        return;
    }
    LINES.with_borrow_mut(|lines| {
        if lines.len() >= TARGETS_MANY {
            lines.retain(|_, waiting| {
                waiting.last().is_some_and(|last| now.saturating_duration_since(last.since) < IDLE)
            });
        }
        let waiting = lines.entry(target).or_default();
        if waiting.len() < WAITING_MAX {
            waiting.push(Waiting { sender, since: now });
        }
    });
}

/// Closes what waits for an instance that is not to be asked any more.
pub(super) fn drop_all(target: &TargetId) {
    LINES.with_borrow_mut(|lines| lines.remove(target));
}

/// Begins to speak on a new connection; it is served on this thread for as long as it lasts.
pub(super) async fn open(stream: TcpStream) -> hyper::Result<Sender> {
    let room = Room(Arc::new(AtomicUsize::new(ANY)));
    let bounded = Bounded { stream, room: room.clone() };
    let (sending, connection) = http1::Builder::new().handshake(TokioIo::new(bounded)).await?;
    tokio::spawn(async move {
        // How it ended whoever asked is told.
        let _ = connection.await;
    });
    Ok(Sender { sending, room })
}
