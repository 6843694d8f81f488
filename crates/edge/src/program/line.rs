//! Connections to instances: each thread has its own, each for one instance. Those of HTTP/1.1 wait for their next request; those of
//! HTTP/2 take several at once.

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
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use skylift_balance::{InFlight, TargetId};
use skylift_model::program::Protocol;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use super::pool::{self, Pool, TARGETS_MANY};
use super::raw;
use crate::through::{Reading, Through};
use crate::upstream::SentBody;

/// How much of an answer may come before its head is there: interim answers (1xx) may come without end, and reading them
/// keeps everybody else on this thread waiting. What of a body is read together with its head counts, too: several of the
/// buffers that are read into.
const BEFORE_HEAD_BYTES_MAX: usize = 4 << 20;
/// No bound.
const ANY: usize = usize::MAX;

/// How many requests one connection of HTTP/2 has at once: what servers allow at least (RFC 9113 §6.5.2).
const STREAMS_MAX: usize = 100;
/// What may come ahead of a client that does not take it, for each request and for all of a connection.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// The head of an answer over HTTP/2.
const HEAD_BYTES_MAX: u32 = 64 << 10;
/// An instance that does not answer whether it is still there is not.
const PING_EVERY: Duration = Duration::from_secs(30);

/// A connection's sending end.
pub(super) enum Sender {
    Http1 { sending: http1::SendRequest<SentBody>, room: Room },
    Http2(Shared),
}

/// A place on a connection that others use, too.
#[derive(Clone)]
pub(super) struct Shared {
    sending: http2::SendRequest<SentBody>,
    /// One for each of them, and one for the list.
    users: Arc<()>,
}

/// How many bytes may be read on a connection before it counts as broken.
#[derive(Clone)]
pub(super) struct Room(Arc<AtomicUsize>);

impl Sender {
    /// Whether the connection is open as far as can be known now. What its other side has done by now is taken in first: a
    /// task that yields goes on when the sockets have been looked at, behind those that had something to read.
    pub(super) async fn is_open(&self) -> bool {
        tokio::task::yield_now().await;
        match self {
            Self::Http1 { sending, .. } => sending.is_ready(),
            Self::Http2(Shared { sending, .. }) => !sending.is_closed(),
        }
    }

    /// Sends a request; the head of its answer has to come within bounds.
    pub(super) async fn send(
        &mut self,
        request: Request<SentBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<SentBody>>> {
        match self {
            Self::Http1 { sending, room } => {
                room.0.store(BEFORE_HEAD_BYTES_MAX, Ordering::Relaxed);
                let answered = sending.try_send_request(request).await;
                room.0.store(ANY, Ordering::Relaxed);
                answered
            }
            Self::Http2(Shared { sending, .. }) => sending.try_send_request(request).await,
        }
    }
}

impl Reading for Room {
    fn poll_read<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(io).poll_read(cx, buffer))?;
        let room = self.0.load(Ordering::Relaxed);
        if room == ANY {
            return Poll::Ready(Ok(()));
        }
        match room.checked_sub(buffer.filled().len().saturating_sub(before)) {
            Some(left) => self.0.store(left, Ordering::Relaxed),
            None => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        }
        Poll::Ready(Ok(()))
    }
}

/// One of HTTP/1.1 that waits.
struct Waiting {
    sending: http1::SendRequest<SentBody>,
    room: Room,
}

thread_local! {
    static LINES: RefCell<Pool<Waiting>> = RefCell::default();
    static SHARED: RefCell<HashMap<TargetId, Vec<Shared>>> = RefCell::default();
}

/// A connection of this thread to whom the request goes: the one that has waited least, or one with a place left.
pub(super) fn take(to: &InFlight, now: Instant) -> Option<Sender> {
    match to.protocol() {
        Protocol::Http1 => take_waiting(to.id(), now),
        Protocol::H2c => take_shared(to.id()),
    }
}

fn take_shared(target: &TargetId) -> Option<Sender> {
    SHARED.with_borrow_mut(|shared| {
        let of_target = shared.get_mut(target)?;
        of_target.retain(|one| !one.sending.is_closed());
        let free = of_target.iter().find(|one| Arc::strong_count(&one.users) <= STREAMS_MAX);
        free.cloned().map(Sender::Http2)
    })
}

fn take_waiting(target: &TargetId, now: Instant) -> Option<Sender> {
    let waiting = LINES.with_borrow_mut(|lines| lines.take(target, now, |one| one.sending.is_ready()));
    waiting.map(|Waiting { sending, room }| Sender::Http1 { sending, room })
}

/// Keeps a connection for the next request. One that several use is kept as it is.
pub(super) fn give(target: &TargetId, sender: Sender, now: Instant) {
    if let Sender::Http1 { sending, room } = sender
        && !sending.is_closed()
    {
        pool::give(&LINES, target, Waiting { sending, room }, now);
    }
}

/// Closes what waits for an instance that is not to be asked any more.
pub(crate) fn drop_all(target: &TargetId) {
    LINES.with_borrow_mut(|lines| lines.drop_all(target));
    SHARED.with_borrow_mut(|shared| shared.remove(target));
    raw::drop_all(target);
}

/// Begins to speak on a new connection; it is served on this thread for as long as it lasts.
pub(super) async fn open(stream: TcpStream, to: &InFlight) -> hyper::Result<Sender> {
    match to.protocol() {
        Protocol::Http1 => open_http1(stream).await,
        Protocol::H2c => open_http2(stream, to.id()).await,
    }
}

async fn open_http1(stream: TcpStream) -> hyper::Result<Sender> {
    let room = Room(Arc::new(AtomicUsize::new(ANY)));
    let bounded = Through::new(stream, room.clone());
    let (sending, connection) = http1::Builder::new().handshake(TokioIo::new(bounded)).await?;
    tokio::spawn(async move {
        // How it ended whoever asked is told.
        let _ = connection.with_upgrades().await;
    });
    Ok(Sender::Http1 { sending, room })
}

async fn open_http2(stream: TcpStream, target: &TargetId) -> hyper::Result<Sender> {
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX)
        .keep_alive_interval(PING_EVERY);
    let (sending, connection) = settings.handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let shared = Shared { sending, users: Arc::default() };
    SHARED.with_borrow_mut(|all| {
        if all.len() >= TARGETS_MANY {
            all.retain(|_, of_target| of_target.iter().any(|one| !one.sending.is_closed()));
        }
        all.entry(target.clone()).or_default().push(shared.clone());
    });
    Ok(Sender::Http2(shared))
}
