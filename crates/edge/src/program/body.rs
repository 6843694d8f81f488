//! The body of an instance's answer: the request counts as under way there until its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use skylift_balance::InFlight;
use skylift_model::program::Protocol;

use super::line::{self, Sender};
use crate::upstream::fields;

pub(crate) struct AnswerBody {
    body: Incoming,
    /// Until the end: then the connection may be used again.
    held: Option<(InFlight, Sender)>,
    /// Whether trailers are passed on: what speaks HTTP/2 may mean something by them.
    with_trailers: bool,
    /// Whether the connection may be used again at all.
    keeps: bool,
}

impl AnswerBody {
    pub(super) fn new(body: Incoming, (in_flight, sender): (InFlight, Sender), keeps: bool) -> Self {
        let with_trailers = in_flight.protocol() == Protocol::H2c;
        let mut answer = Self { body, held: Some((in_flight, sender)), with_trailers, keeps };
        if answer.body.is_end_stream() {
            answer.end();
        }
        answer
    }

    fn end(&mut self) {
        if let Some((in_flight, sender)) = self.held.take() {
            if in_flight.is_draining() {
                line::drop_all(in_flight.id());
            } else if self.keeps {
                line::give(in_flight.id(), sender, Instant::now());
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
            match frame.into_data() {
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(frame) if this.with_trailers => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return Poll::Ready(Some(Ok(Frame::trailers(fields::trailers(trailers)))));
                    }
                }
                Err(_) => {}
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
