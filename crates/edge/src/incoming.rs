//! The body of a request, as long as its client goes on sending.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::body::BodyError;

/// A request's body. It ends in an error when the client sends nothing for too long while it is asked for more.
pub struct RequestBody {
    body: Incoming,
    idle: Duration,
    /// Set while it is asked for more.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// The client stopped in the middle.
#[derive(Debug, thiserror::Error)]
#[error("the client sent nothing more of its request for {0:?}")]
struct Stalled(Duration);

impl RequestBody {
    pub(crate) fn new(body: Incoming, idle: Duration) -> Self {
        Self { body, idle, alarm: None }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            // Kept for the next wait: setting it once more costs less than making it.
            if let Some(alarm) = &mut this.alarm {
                alarm.as_mut().reset(Instant::now() + this.idle);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
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
