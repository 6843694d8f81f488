//! One request to an instance, and the head of its answer: picked, sent, and sent once more where that is safe.

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use skylift_balance::{Failure, Group, InFlight, Outcome, Replay, TargetId};
use skylift_model::program::Protocol;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::answered::Answered;
use super::failed::{Attempts, Failed, Trouble};
use super::framing::{Ambiguous, Frame, HEAD_BYTES_MAX};
use super::line::{self, Sender};
use super::{Instances, outbound, whole};
use crate::upstream::SentBody;

/// How long an instance may take to begin its answer over HTTP/1.1. Streams of HTTP/2 begin whenever there is something to say.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(60);

/// From here on a request that is not answered counts as one that took so long: who compares two versions does not wait for its end.
pub(crate) const LATE_AFTER: Duration = Duration::from_secs(10);

/// A request for whoever of a group can take it.
pub(crate) struct Asking<'a> {
    pub(crate) group: &'a Group,
    pub(crate) instances: &'a dyn Instances,
    /// Any number that differs from request to request.
    pub(crate) seed: u64,
    /// Who answered this client before.
    pub(crate) sticky: Option<TargetId>,
    /// How long a stream of HTTP/2 may be without anything of its request or, at first, of its answer.
    pub(crate) stream_timeout: Duration,
}

/// A request that failed, with what is left of it: its body where nothing of it was sent.
struct Unsent(Failed, Option<SentBody>);

impl From<Failed> for Unsent {
    fn from(failed: Failed) -> Self {
        Self(failed, None)
    }
}

impl Asking<'_> {
    /// Sends a request and returns when the answer can be passed on: when its head is there, and all of a small one.
    pub(crate) async fn send(&self, parts: Parts, body: SentBody) -> Result<Answered, Trouble> {
        let mut attempts = Attempts::new(self.group, self.seed);
        let (is_empty, mut body) = (body.is_empty(), Some(body));
        loop {
            let mut in_flight = attempts.pick(self.sticky.as_ref()).await?;
            let sent =
                self.send_to(&mut in_flight, &parts, body.take().unwrap_or_else(SentBody::empty), is_empty).await;
            let Unsent(failed, unsent) = match begun(sent, &mut in_flight, parts.method == Method::HEAD).await {
                Ok(Begun { response, small, sender, keeps }) => {
                    return Ok(Answered { response, small, in_flight, sender, keeps });
                }
                Err(failed) => failed,
            };
            let replay = if is_empty || unsent.is_some() { Replay::Empty } else { Replay::Stream };
            if !attempts.again(in_flight, &failed, (&parts.method, replay)) {
                return Err(failed.trouble);
            }
            body = unsent;
        }
    }

    /// Over a connection that waits, where there is one; else, or where that turns out to be closed, over a new one.
    async fn send_to(
        &self,
        in_flight: &mut InFlight,
        parts: &Parts,
        mut body: SentBody,
        is_empty: bool,
    ) -> Result<(Response<Incoming>, Sender), Unsent> {
        let only_reads = parts.method.is_safe() && is_empty;
        if is_empty {
            in_flight.asked(Instant::now());
        }
        while let Some(sender) = line::take(in_flight, Instant::now()) {
            // What cannot be sent once more is not sent to an instance that is gone, though nobody has noticed yet.
            if !only_reads && !sender.is_open().await {
                continue;
            }
            match self.exchange(sender, in_flight, parts, body).await {
                Ok(answered) => return Ok(answered),
                Err(Unsent(_, Some(unsent))) => body = unsent,
                // Closed as it waited, which says nothing of the instance.
                Err(Unsent(Failed { how: Failure::Reset, .. }, _)) if only_reads => {
                    body = SentBody::empty();
                    break;
                }
                Err(failed) => return Err(failed),
            }
        }
        let stream = match connect(self.instances, in_flight).await {
            Ok(stream) => stream,
            Err(failed) => return Err(Unsent(failed, Some(body))),
        };
        let sender = match line::open(stream, in_flight).await {
            Ok(sender) => sender,
            Err(error) => {
                return Err(Unsent(Failed::connect(in_flight.id(), std::io::Error::other(error)), Some(body)));
            }
        };
        self.exchange(sender, in_flight, parts, body).await
    }

    async fn exchange(
        &self,
        mut sender: Sender,
        in_flight: &mut InFlight,
        parts: &Parts,
        mut body: SentBody,
    ) -> Result<(Response<Incoming>, Sender), Unsent> {
        let sent = body.tells_sent();
        let (request, within) = match in_flight.protocol() {
            Protocol::Http1 => (SentBody::announced(Request::from_parts(parts.clone(), body)), HEAD_WITHIN),
            Protocol::H2c => {
                let body = body.into_stream(self.stream_timeout);
                (Request::from_parts(outbound::over_http2(parts), body), self.stream_timeout)
            }
        };
        let id = in_flight.id().clone();
        let id = &id;
        match timeout(within, answered(sender.send(request), &sent, in_flight)).await {
            Ok(Ok(response)) => Ok((response, sender)),
            Ok(Err(mut failed)) => {
                let unsent = failed.take_message().map(Request::into_body);
                let error = failed.into_error();
                if error.is_parse() {
                    return Err(Failed::ambiguous(id).into());
                }
                let reset = Failed::reset(id, error);
                let how = if unsent.is_some() { Failure::Unsent } else { Failure::Reset };
                Err(Unsent(Failed { how, ..reset }, unsent))
            }
            Err(_) => Err(Failed::timed_out(id).into()),
        }
    }
}

/// Waits for the head of an answer, and notes from when on it is owed and from when on it is late.
async fn answered<T>(answer: impl Future<Output = T>, sent: &Notify, in_flight: &mut InFlight) -> T {
    if in_flight.protocol() != Protocol::Http1 {
        return answer.await;
    }
    let (mut answer, mut late) = (pin!(answer), pin!(sleep(LATE_AFTER)));
    let mut is_late = false;
    loop {
        tokio::select! {
            biased;
            answered = answer.as_mut() => return answered,
            () = sent.notified() => in_flight.asked(Instant::now()),
            () = late.as_mut(), if !is_late => {
                is_late = true;
                in_flight.late(Instant::now());
            }
        }
    }
}

/// A new connection to whom the request goes.
pub(crate) async fn connect(instances: &dyn Instances, to: &InFlight) -> Result<TcpStream, Failed> {
    let id = to.id();
    let failed = |error| Failed::connect(id, error);
    let Ok(instance) = id.as_str().parse() else { return Err(failed(std::io::ErrorKind::InvalidInput.into())) };
    instances.connect(&instance, to.node().as_str()).await.map_err(failed)
}

/// What frames an answer, in its one reading: the HTTP implementation is lenient there.
fn frame(headers: &HeaderMap) -> Result<Frame, Ambiguous> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum();
    if bytes > HEAD_BYTES_MAX {
        return Err(Ambiguous);
    }
    let mut frame = Frame::default();
    headers.get_all(CONTENT_LENGTH).iter().try_for_each(|value| frame.length(value.as_bytes()))?;
    headers.get_all(TRANSFER_ENCODING).iter().try_for_each(|value| frame.coding(value.as_bytes()))?;
    frame.is_one()?;
    Ok(frame)
}

/// An answer that may be passed on.
struct Begun {
    response: Response<Incoming>,
    small: Bytes,
    sender: Sender,
    /// Whether its connection may be used again behind it.
    keeps: bool,
}

/// An answer of which something may be passed on, with all of a small one.
async fn begun(
    sent: Result<(Response<Incoming>, Sender), Unsent>,
    in_flight: &mut InFlight,
    is_head: bool,
) -> Result<Begun, Unsent> {
    let (mut response, sender) = sent?;
    let is_http1 = in_flight.protocol() == Protocol::Http1;
    let frame = match frame(response.headers()) {
        Ok(frame) => frame,
        Err(Ambiguous) if is_http1 => return Err(Failed::ambiguous(in_flight.id()).into()),
        Err(Ambiguous) => Frame::default(),
    };
    let keeps = !is_http1 || !frame.may_send_more(response.status(), is_head);
    match whole::read_small(response.body_mut()).await {
        Ok(small) => {
            in_flight.record(Outcome::Answered { status: response.status().as_u16() }, Instant::now());
            Ok(Begun { response, small, sender, keeps })
        }
        Err(error) => Err(Failed::cut(in_flight.id(), error).into()),
    }
}
