//! The body of an instance's answer: the request counts as under way there until its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use skylift_balance::InFlight;

use super::line::{self, Sender};

pub(crate) struct AnswerBody {
    body: Incoming,
    /// Until the end: then the connection may be used again.
    held: Option<(InFlight, Sender)>,
}

impl AnswerBody {
    pub(super) fn new(body: Incoming, in_flight: InFlight, sender: Sender) -> Self {
        let mut answer = Self { body, held: Some((in_flight, sender)) };
        if answer.body.is_end_stream() {
            answer.end();
        }
        answer
    }

    fn end(&mut self) {
        if let Some((in_flight, sender)) = self.held.take() {
            if in_flight.is_draining() {
                line::drop_all(in_flight.id());
            } else {
                line::give(in_flight.id().clone(), sender, Instant::now());
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        loop {
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) else {
                this.end();
                return Poll::Ready(None);
            };
            let frame = frame?;
            if this.body.is_end_stream() {
                this.end();
            }
            if let Ok(data) = frame.into_data() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
