//! Plain requests, answered at once: read, look up, write.
//!
//! ```text
//!          ┌── incomplete: read on ──┐
//! read ──▶ judge ──▶ plain ──▶ find ──▶ bytes at hand? ──▶ one write ──▶ record ──▶ read …
//!            │                  │            └ no: fetch, judge again        └ not all taken: send, then record
//!            └──── odd ─────────┴──▶ the strict implementation, with the unread bytes
//! ```
//!
//! What it serves is decided by the same code as everywhere ([`crate::site::decide`]), and written as the strict implementation
//! would write it; whatever it does not know it leaves unread for that one. A connection that waits holds no buffers.

mod answer;
mod hit;
mod send;
mod waiting;

use std::cell::RefCell;
use std::future::poll_fn;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use tokio::io::ReadBuf;

use crate::content::{By, Opened, Piece};
use crate::gateway::Gateway;
use crate::relay::{Passed, Relay};
use crate::stopping::Stopping;
use crate::transport::Transport;
use answer::Step;
use send::Unsent;
use waiting::Waiting;

/// How much is read at once.
const READ_BYTES: usize = 16 << 10;
/// A head that is longer than this is for the strict implementation.
const HEAD_BYTES_MAX: usize = 16 << 10;
const _: () =
    assert!(HEAD_BYTES_MAX <= skylift_rules::PLAIN_BYTES_MAX, "what rules say of a path is true of such heads");
/// A body up to this size is copied behind its head, so that both leave in one write.
const COPIED_BYTES_MAX: usize = 16 << 10;
/// How often the bytes of one request are fetched before it is left to the strict implementation: they may be
/// replaced, or pushed out of memory, in between.
const FETCHES_MAX: u8 = 3;
/// How many requests are answered before other connections have their turn.
const ANSWERS_IN_A_ROW: usize = 32;

thread_local! {
    static DESK: RefCell<Desk> = RefCell::new(Desk {
        read: vec![0; READ_BYTES].into(),
        out: Vec::with_capacity(COPIED_BYTES_MAX + 1024),
        headers: HeaderMap::new(),
    });
}

/// What a thread works with while it answers; connections hold none of it.
struct Desk {
    read: Box<[u8]>,
    out: Vec<u8>,
    headers: HeaderMap,
}

/// A connection as long as its requests are plain.
pub(crate) struct Fast<T> {
    pub(crate) io: T,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) peer: SocketAddr,
    pub(crate) local: IpAddr,
    pub(crate) stopping: Stopping,
    /// Whether nothing is plain here: what the connection is for is looked at by the strict implementation.
    pub(crate) never: bool,
    waiting: Waiting,
    /// Bytes of the next requests.
    unread: Vec<u8>,
    /// What was fetched for the next request.
    fetched: Option<(Piece, Opened)>,
    fetches: u8,
}

/// How a connection goes on.
pub(crate) enum Ended<T> {
    /// It is over.
    Closed,
    /// The strict implementation is to read these bytes, and go on.
    Odd(T, Vec<u8>),
}

/// What came of the bytes there were.
enum Turn {
    Again,
    Fetch(Piece),
    Send(Box<Unsent>),
    /// The request that the unread bytes begin with is an instance's.
    Relay(Box<Relay>),
    Odd,
    Closed,
}

impl<T: Transport> Fast<T> {
    pub(crate) fn new(io: T, gateway: Arc<Gateway>, peer: SocketAddr, local: IpAddr, stopping: Stopping) -> Self {
        let waiting = Waiting::begun(&gateway);
        Self {
            io,
            gateway,
            peer,
            local,
            stopping,
            never: false,
            waiting,
            unread: Vec::new(),
            fetched: None,
            fetches: 0,
        }
    }

    /// Answers plain requests until there is something else to do.
    pub(crate) async fn run(mut self) -> Ended<T> {
        loop {
            match poll_fn(|cx| self.poll_turn(cx)).await {
                Turn::Again => {}
                Turn::Closed => return Ended::Closed,
                Turn::Odd => return Ended::Odd(self.io, self.unread),
                Turn::Fetch(piece) => {
                    self.fetches += 1;
                    match self.gateway.content.fetch(&piece, By::size(piece.size)).await {
                        Ok(opened) if self.fetches <= FETCHES_MAX => self.fetched = Some((piece, opened)),
                        // There is a page to say so, and a line in the log.
                        _ => return Ended::Odd(self.io, self.unread),
                    }
                }
                Turn::Send(unsent) => {
                    let stall = self.gateway.limits.write_timeout;
                    if unsent.send(&mut self.io, stall, &self.gateway.access).await.is_err() {
                        return Ended::Closed;
                    }
                    self.waiting.begin_idle(&self.gateway);
                }
                // In a box: a connection that waits, or is asked for files, does without its room.
                Turn::Relay(relay) => match Box::pin(relay.run(&mut self.io, &mut self.unread)).await {
                    Passed::On => self.waiting.begin_idle(&self.gateway),
                    Passed::Closed => return Ended::Closed,
                    Passed::Odd => return Ended::Odd(self.io, self.unread),
                },
            }
        }
    }

    /// Works on the bytes at hand, else reads, else waits.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        DESK.with_borrow_mut(|desk| {
            let mut answered = false;
            if !self.unread.is_empty() && !self.waiting.is_in_head() {
                let unread = mem::take(&mut self.unread);
                let (used, turn) = self.work(cx, &unread, desk);
                self.keep(unread, used);
                match turn {
                    Turn::Again => answered = true,
                    turn => return Poll::Ready(turn),
                }
            }
            loop {
                let mut read = ReadBuf::new(&mut desk.read);
                match Pin::new(&mut self.io).poll_read(cx, &mut read) {
                    Poll::Pending => {
                        return self.waiting.poll(cx, answered, &mut self.stopping).map(|()| Turn::Closed);
                    }
                    Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                    Poll::Ready(_) => return Poll::Ready(Turn::Closed),
                }
                let length = read.filled().len();
                // The desk's own buffer is lent out while its bytes are worked on.
                let buffer = mem::take(&mut desk.read);
                let turn = self.take(cx, buffer.get(..length).unwrap_or_default(), desk);
                desk.read = buffer;
                match turn {
                    Turn::Again => answered = true,
                    turn => return Poll::Ready(turn),
                }
            }
        })
    }

    /// Works on bytes that were read, together with those before them.
    fn take(&mut self, cx: &mut Context<'_>, bytes: &[u8], desk: &mut Desk) -> Turn {
        if self.unread.is_empty() {
            let (used, turn) = self.work(cx, bytes, desk);
            self.unread.extend_from_slice(bytes.get(used..).unwrap_or_default());
            return turn;
        }
        let mut unread = mem::take(&mut self.unread);
        unread.extend_from_slice(bytes);
        let (used, turn) = self.work(cx, &unread, desk);
        self.keep(unread, used);
        turn
    }

    /// Keeps what was not used; nothing at all where that is nothing.
    fn keep(&mut self, mut unread: Vec<u8>, used: usize) {
        if used < unread.len() {
            unread.drain(..used);
            self.unread = unread;
        }
    }

    /// Answers the requests in `bytes`; returns how many bytes those took, and how to go on.
    fn work(&mut self, cx: &mut Context<'_>, bytes: &[u8], desk: &mut Desk) -> (usize, Turn) {
        let mut used = 0;
        for _ in 0..ANSWERS_IN_A_ROW {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return (used, Turn::Again);
            }
            match self.step(cx, rest, desk) {
                Step::Answered(length) => used += length,
                Step::Send(length, unsent) => return (used + length, Turn::Send(unsent)),
                Step::Fetch(piece) => {
                    self.waiting.end_head();
                    return (used, Turn::Fetch(piece));
                }
                Step::Relay(relay) => {
                    self.waiting.end_head();
                    return (used, Turn::Relay(relay));
                }
                Step::Odd => return (used, Turn::Odd),
                Step::Closed => return (used, Turn::Closed),
                Step::Incomplete if rest.len() > HEAD_BYTES_MAX => return (used, Turn::Odd),
                Step::Incomplete => {
                    self.waiting.begin_head(&self.gateway);
                    return (used, Turn::Again);
                }
            }
        }
        cx.waker().wake_by_ref();
        (used, Turn::Again)
    }
}
