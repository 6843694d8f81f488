//! Bodies on their way to another host and back. Both are taken only as fast as the other end takes them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use super::pool::{Line, Pool, Sender};
use crate::body::BodyError;
use crate::incoming::RequestBody;

/// The body of a request that is passed on: data without trailers, up to a limit.
pub(crate) struct SentBody {
    body: Option<RequestBody>,
    left: u64,
    /// Set when more came than the limit.
    over: Arc<AtomicBool>,
}

#[derive(Debug, thiserror::Error)]
#[error("the body of the request is too large")]
struct TooLarge;

impl SentBody {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self { body: None, left: 0, over: Arc::default() }
    }

    /// A client's body; none where its end is known already.
    pub(crate) fn of(body: RequestBody, bytes_max: u64) -> Self {
        Self { body: Some(body).filter(|body| !body.is_end_stream()), left: bytes_max, over: Arc::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_none()
    }

    /// Tells later whether the limit was met.
    pub(super) fn over(&self) -> Arc<AtomicBool> {
        self.over.clone()
    }
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        loop {
            let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)) else { return Poll::Ready(None) };
            let Ok(data) = frame?.into_data() else { continue };
            match this.left.checked_sub(data.len() as u64) {
                Some(left) => this.left = left,
                None => {
                    this.over.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(TooLarge.into())));
                }
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The body of an answer: data without trailers. It ends in an error when the other host says nothing for too long. At its
/// end the connection is kept for the next request.
pub(crate) struct GivenBody {
    body: Incoming,
    idle: Duration,
    /// Set while more is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
    back: Option<(Arc<Pool>, Line, Sender)>,
}

/// The other host stopped in the middle.
#[derive(Debug, thiserror::Error)]
#[error("the other host sent nothing more of its answer for {0:?}")]
struct Stalled(Duration);

impl GivenBody {
    pub(super) fn new(body: Incoming, idle: Duration, back: (Arc<Pool>, Line, Sender)) -> Self {
        let mut given = Self { body, idle, alarm: None, back: Some(back) };
        if given.body.is_end_stream() {
            given.give_back();
        }
        given
    }

    fn give_back(&mut self) {
        if let Some((pool, line, sender)) = self.back.take() {
            pool.give(line, sender, std::time::Instant::now());
        }
    }
}

impl Body for GivenBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else { break };
            if let Some(alarm) = &mut this.alarm {
                alarm.as_mut().reset(Instant::now() + this.idle);
            }
            let frame = match frame {
                None => {
                    this.give_back();
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => frame,
            };
            if this.body.is_end_stream() {
                this.give_back();
            }
            if let Ok(data) = frame.into_data() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep(this.idle)));
        alarm.as_mut().poll(cx).map(|()| Some(Err(Stalled(this.idle).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
