//! The body of a request, as long as its client goes on sending.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::body::BodyError;

/// What a client that owes a body must send on average, beyond the time it may send nothing: one that sends a byte now and
/// then would keep its connection for ever.
const BYTES_PER_SECOND_MIN: u64 = 512;

/// A request's body. It ends in an error when the client sends nothing for too long, or far too little, while it is asked
/// for more.
pub struct RequestBody {
    body: Incoming,
    idle: Duration,
    rate: LeastRate,
    received: u64,
    /// For how long it was waited for the client before.
    waited: Duration,
    waiting_since: Option<Instant>,
    /// Kept for the next wait: setting it once more costs less than making it.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// Whether little is too little.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeastRate {
    Required,
    /// Both sides talk for as long as they like.
    Off,
}

/// The client stopped in the middle.
#[derive(Debug, thiserror::Error)]
#[error("the client sent {received} bytes of its request's body and let wait for more for {waited:?}")]
struct Stalled {
    received: u64,
    waited: Duration,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, idle: Duration) -> Self {
        let (received, waited) = (0, Duration::ZERO);
        Self { body, idle, rate: LeastRate::Required, received, waited, waiting_since: None, alarm: None }
    }

    /// The same, of a call whose client may send nothing for so long, and as little as it likes.
    pub(crate) fn with_idle(self, idle: Duration) -> Self {
        Self { idle, rate: LeastRate::Off, ..self }
    }

    /// For how long it may be waited from here on.
    fn patience(&self) -> Duration {
        if self.rate == LeastRate::Off {
            return self.idle;
        }
        let allowed = self.idle + Duration::from_secs(self.received / BYTES_PER_SECOND_MIN);
        self.idle.min(allowed.saturating_sub(self.waited))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waited += this.waiting_since.take().map_or(Duration::ZERO, |since| since.elapsed());
            if let Some(Ok(data)) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
                this.received += data.map_or(0, Bytes::len) as u64;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let patience = this.patience();
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep(patience)));
        if this.waiting_since.is_none() {
            let now = Instant::now();
            this.waiting_since = Some(now);
            alarm.as_mut().reset(now + patience);
        }
        let (received, waited) = (this.received, this.waited + patience);
        alarm.as_mut().poll(cx).map(|()| Some(Err(Stalled { received, waited }.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
