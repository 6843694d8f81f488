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

mod hit;
pub(crate) mod judge;
pub(crate) mod note;
pub(crate) mod send;
mod waiting;

use std::cell::RefCell;
use std::future::poll_fn;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use skylift_balance::Group;
use tokio::io::ReadBuf;

use crate::content::{By, Opened, Piece};
use crate::gateway::Gateway;
use crate::now::{Moment, now};
use crate::relay::{Passed, Relay};
use crate::request_ids;
use crate::routes::table::{Route, Target};
use crate::stopping::Stopping;
use crate::transport::Transport;
use hit::{Hit, find, lead};
use judge::{Plain, PlainMethod, Verdict, judge};
use note::{Ending, Note};
use send::{Rest, Unsent};
use waiting::Waiting;

/// How much is read at once.
const READ_BYTES: usize = 16 << 10;
/// A head that is longer than this is for the strict implementation.
const HEAD_BYTES_MAX: usize = 16 << 10;
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

/// What came of one request.
enum Step {
    Incomplete,
    Answered(usize),
    Send(usize, Box<Unsent>),
    Fetch(Piece),
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

    /// Answers one request, if it is plain and all it takes is at hand.
    fn step(&mut self, cx: &mut Context<'_>, bytes: &[u8], desk: &mut Desk) -> Step {
        let plain = match judge(bytes) {
            Verdict::Plain(plain) if self.gateway.fast && !self.never => plain,
            Verdict::Plain(_) => return Step::Odd,
            Verdict::Incomplete => return Step::Incomplete,
            Verdict::Odd => return Step::Odd,
        };
        if self.stopping.is_told() || plain.target.len() > self.gateway.limits.uri_bytes_max {
            return Step::Odd;
        }
        let started = now();
        let gateway = self.gateway.clone();
        let table = gateway.routes.load();
        let Some((route, target)) = lead(&table, &gateway.domain, self.local, &plain) else { return Step::Odd };
        if !route.net_in.is_empty() {
            return Step::Odd;
        }
        if let Some(group) = &target.group {
            return self.relay(&plain, (route, target, group), started).map_or(Step::Odd, Step::Relay);
        }
        let Some(hit) = find((route, target), &plain, &mut desk.headers) else { return Step::Odd };
        let body = match self.body_of(&hit, plain.method) {
            Ok(body) => body,
            Err(piece) => return Step::Fetch(piece),
        };
        let client = gateway.clients.address(self.peer, plain.forwarded_for.into_iter());
        if gateway.limit(client, hit.route, started).is_err() {
            return Step::Odd;
        }
        let note = self.note(&plain, (route, target), (client, started), hit.status.as_u16());
        hit.write_head(note.id.as_str(), started, &mut desk.out);
        self.waiting.begin_idle_at(started.instant.into(), &gateway);
        self.fetches = 0;
        match self.write(cx, &mut desk.out, body, note, &hit) {
            Ok(None) => Step::Answered(plain.length),
            Ok(Some(unsent)) => Step::Send(plain.length, unsent),
            Err(Closed) => Step::Closed,
        }
    }

    /// A request for an instance, where whoever waits for one, and whoever stays with his, is left to the strict implementation.
    fn relay(
        &self,
        plain: &Plain<'_>,
        (route, target, group): (&Arc<Route>, &Target, &Group),
        started: Moment,
    ) -> Option<Box<Relay>> {
        if target.sticky || group.ready() == 0 {
            return None;
        }
        let client = self.gateway.clients.address(self.peer, plain.forwarded_for.into_iter());
        self.gateway.limit(client, route, started).ok()?;
        Some(Box::new(Relay {
            gateway: self.gateway.clone(),
            route: route.clone(),
            group: group.clone(),
            length: plain.length,
            method: plain.method.method(),
            peer: self.peer,
            note: self.note(plain, (route, target), (client, started), 0).into_owned(),
        }))
    }

    fn note<'n>(
        &self,
        plain: &Plain<'n>,
        (route, target): (&'n Route, &'n Target),
        (client, started): (SocketAddr, Moment),
        status: u16,
    ) -> Note<'n> {
        let given = self.gateway.clients.request_id(self.peer, plain.request_id.into_iter());
        Note {
            id: given.unwrap_or_else(|| request_ids::next(started)),
            started,
            client,
            host: plain.host.into(),
            app: route.app.as_str().into(),
            deployment: target.deployment.as_str().into(),
            method: plain.method.as_str(),
            path: path_of(plain.target).into(),
            status,
        }
    }

    /// The body, or what has to be fetched first.
    fn body_of(&mut self, hit: &Hit<'_>, method: PlainMethod) -> Result<Option<Opened>, Piece> {
        let form = hit.chosen.form;
        if method == PlainMethod::Head || hit.status != StatusCode::OK {
            return Ok(None);
        }
        let whole = Piece { digest: form.digest, size: form.size, first: 0, length: form.size };
        if let Some((piece, opened)) = self.fetched.take()
            && piece == whole
        {
            return Ok(Some(opened));
        }
        self.gateway.content.at_hand(&whole, By::size(form.size)).map(Some).ok_or(whole)
    }

    /// Writes an answer, as far as the socket takes it at once; records it if that is all of it.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        body: Option<Opened>,
        note: Note<'_>,
        hit: &Hit<'_>,
    ) -> Result<Option<Box<Unsent>>, Closed> {
        let head_bytes = out.len();
        let (rest, body_bytes) = match body {
            None => (Rest::Nothing, 0),
            Some(Opened::Memory(bytes)) if bytes.len() <= COPIED_BYTES_MAX => {
                out.extend_from_slice(&bytes);
                (Rest::Nothing, bytes.len() as u64)
            }
            Some(Opened::Memory(bytes)) => {
                let length = bytes.len() as u64;
                (Rest::Memory(bytes), length)
            }
            Some(Opened::File(file)) => (Rest::File(file, hit.chosen.form.size), hit.chosen.form.size),
        };
        let written = match Pin::new(&mut self.io).poll_write(cx, out) {
            Poll::Ready(Ok(written)) => written,
            Poll::Pending => 0,
            Poll::Ready(Err(_)) => {
                note.record(&self.gateway.access, &hit.route.counters, 0, Ending::Cut);
                return Err(Closed);
            }
        };
        if written == out.len() && matches!(rest, Rest::Nothing) {
            let body = (out.len() - head_bytes) as u64;
            note.record(&self.gateway.access, &hit.route.counters, body, Ending::Complete);
            return Ok(None);
        }
        let front = Bytes::copy_from_slice(out.get(written..).unwrap_or_default());
        let (note, counters) = (note.into_owned(), hit.route.counters.clone());
        Ok(Some(Box::new(Unsent { front, rest, body_bytes, note, counters })))
    }
}

/// The connection broke.
struct Closed;

fn path_of(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}
