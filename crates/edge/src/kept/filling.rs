//! An answer that is kept while it comes: one task takes it as fast as the other host sends it, and whoever asked for it reads
//! along at their own pace. So a slow client holds up neither the keeping nor those who wait for it.
//!
//! One that turns out too large is not kept: the rest of it goes straight to the client, as fast as that takes it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::held::{Held, Holding};
use crate::body::BodyError;
use crate::upstream::GivenBody;

/// The body of an answer, as far as it has come.
#[derive(Clone)]
pub(crate) struct Filling(Arc<Mutex<Inner>>);

struct Inner {
    chunks: Vec<Bytes>,
    bytes: u64,
    bytes_max: u64,
    /// Counts the chunks for as long as somebody may read them.
    holding: Holding,
    end: Option<End>,
    waiting: Option<Waker>,
}

/// How the filling ended.
enum End {
    Whole,
    /// The rest is not kept.
    Rest(Option<Box<GivenBody>>),
    Broken(Arc<str>),
}

/// Reads along. There is one for each filling.
pub(crate) struct Reader {
    filling: Filling,
    next: usize,
    rest: Option<Box<GivenBody>>,
    hint: SizeHint,
    ended: bool,
}

/// The other host's answer broke off.
#[derive(Debug, thiserror::Error)]
#[error("the other host's answer broke off: {0}")]
struct Broken(Arc<str>);

/// Whether an answer may still be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Left,
    /// It is too large, or too much is in memory already.
    None,
}

impl Filling {
    /// Of an answer with at most so many bytes.
    pub(crate) fn new(held: &Held, bytes_max: u64) -> Self {
        let holding = held.begin();
        let inner = Inner { chunks: Vec::new(), bytes: 0, bytes_max, holding, end: None, waiting: None };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// The one who reads along. `hint`: how long the body is said to be.
    pub(crate) fn reader(&self, hint: SizeHint) -> Reader {
        Reader { filling: self.clone(), next: 0, rest: None, hint, ended: false }
    }

    /// Adds what has come.
    pub(crate) fn push(&self, chunk: Bytes) -> Room {
        let mut inner = self.lock();
        inner.bytes += chunk.len() as u64;
        let has_room = inner.holding.grow(chunk.len() as u64) && inner.bytes <= inner.bytes_max;
        inner.chunks.push(chunk);
        inner.wake();
        if has_room { Room::Left } else { Room::None }
    }

    /// All has come: here it is as one. A copy even of a single chunk, which may be a small part of a large buffer.
    pub(crate) fn whole(&self, held: &Held) -> Bytes {
        let mut inner = self.lock();
        inner.end = Some(End::Whole);
        inner.wake();
        let mut whole = BytesMut::with_capacity(inner.chunks.iter().map(Bytes::len).sum());
        inner.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
        held.begin().hold(whole.freeze())
    }

    /// There is more than is kept.
    pub(crate) fn hand_over(&self, rest: GivenBody) {
        self.end(End::Rest(Some(Box::new(rest))));
    }

    /// Nothing more comes, though it should.
    pub(crate) fn broken(&self, error: &BodyError) {
        self.end(End::Broken(error.to_string().into()));
    }

    fn end(&self, end: End) {
        let mut inner = self.lock();
        inner.end = Some(end);
        inner.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }
}

impl Body for Reader {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(rest) = &mut this.rest {
            return Pin::new(&mut **rest).poll_frame(cx);
        }
        let mut inner = this.filling.lock();
        if let Some(chunk) = inner.chunks.get(this.next) {
            this.next += 1;
            let chunk = chunk.clone();
            this.ended = matches!(inner.end, Some(End::Whole)) && this.next == inner.chunks.len();
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match &mut inner.end {
            None => {
                inner.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(End::Whole) => {
                this.ended = true;
                Poll::Ready(None)
            }
            Some(End::Broken(why)) => Poll::Ready(Some(Err(Broken(why.clone()).into()))),
            Some(End::Rest(rest)) => {
                this.rest = rest.take();
                drop(inner);
                match &mut this.rest {
                    Some(rest) => Pin::new(&mut **rest).poll_frame(cx),
                    None => Poll::Ready(None),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.hint.exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        if self.next == 0 { self.hint } else { SizeHint::new() }
    }
}
