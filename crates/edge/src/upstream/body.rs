//! Bodies on their way to another host and back. Both are taken only as fast as the other end takes them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{HeaderValue, Request};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep};

use super::fields;
use super::pool::{Line, Pool, Sender};
use crate::body::BodyError;
use crate::incoming::RequestBody;

/// The body of a request that is passed on, up to a limit: data, and trailers where those mean something.
pub(crate) struct SentBody {
    body: Option<RequestBody>,
    left: u64,
    /// Set when more came than the limit.
    over: Arc<AtomicBool>,
    with_trailers: bool,
    /// Told when all of it was taken.
    sent: Option<Arc<Notify>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the body of the request is too large")]
struct TooLarge;

impl SentBody {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self { body: None, left: 0, over: Arc::default(), with_trailers: false, sent: None }
    }

    /// A client's body; none where its end is known already.
    pub(crate) fn of(body: RequestBody, bytes_max: u64) -> Self {
        let body = Some(body).filter(|body| !body.is_end_stream());
        Self { body, left: bytes_max, over: Arc::default(), with_trailers: false, sent: None }
    }

    /// One side of a conversation: the client may say nothing for so long, and trailers go along.
    pub(crate) fn into_stream(self, idle: Duration) -> Self {
        Self { body: self.body.map(|body| body.with_idle(idle)), with_trailers: true, ..self }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_none()
    }

    /// A request of HTTP/1.1 that says how its body is framed where its length is not known: nobody else does for a GET, and the
    /// body would be left out.
    pub(crate) fn announced(mut request: Request<Self>) -> Request<Self> {
        if request.body().size_hint().exact().is_none() {
            request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        request
    }

    /// Tells later that all of it was taken; never where there is nothing.
    pub(crate) fn tells_sent(&mut self) -> Arc<Notify> {
        let sent = self.sent.take().unwrap_or_default();
        if self.body.is_some() {
            self.sent = Some(sent.clone());
        }
        sent
    }

    fn say_sent(&self) {
        if let Some(sent) = &self.sent {
            sent.notify_one();
        }
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
            let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)) else {
                this.say_sent();
                return Poll::Ready(None);
            };
            let data = match frame?.into_data() {
                Ok(data) => data,
                Err(frame) => match frame.into_trailers() {
                    Ok(trailers) if this.with_trailers => {
                        return Poll::Ready(Some(Ok(Frame::trailers(fields::trailers(trailers)))));
                    }
                    _ => continue,
                },
            };
            match this.left.checked_sub(data.len() as u64) {
                Some(left) => this.left = left,
                None => {
                    this.over.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(TooLarge.into())));
                }
            }
            if body.is_end_stream() {
                this.say_sent();
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
