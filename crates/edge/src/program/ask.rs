//! One request to an instance, and the head of its answer: picked, sent, and sent once more where that is safe.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use skylift_balance::{Ask, Attempt, Failure, Group, InFlight, Outcome, Replay, TargetId, Unserved, may_retry};
use skylift_model::program::Protocol;
use tokio::time::timeout;

use super::Instances;
use super::answered::Answered;
use super::line::{self, Sender};
use super::{outbound, whole};
use crate::upstream::SentBody;

/// How long an instance may take to begin its answer over HTTP/1.1. Streams of HTTP/2 begin whenever there is something to say.
const HEAD_WITHIN: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Unserved(#[from] Unserved),
    #[error("connect to instance {0}")]
    Connect(TargetId, #[source] std::io::Error),
    #[error("instance {0} ended the connection before it had answered")]
    Reset(TargetId, #[source] hyper::Error),
    #[error("instance {0} ended in the middle of its answer, of which nothing had been passed on")]
    Cut(TargetId, #[source] hyper::Error),
    #[error("instance {0} did not begin its answer in time")]
    TimedOut(TargetId),
    #[error("instance {0} answered with the status {1}, which is no answer to this request")]
    NoAnswer(TargetId, StatusCode),
    #[error("instance {0} agreed to another protocol and did not go on with it")]
    Upgrade(TargetId, #[source] Option<hyper::Error>),
}

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

/// A request that failed, with what is left of it.
struct Failed {
    trouble: Trouble,
    how: Failure,
    outcome: Outcome,
    /// Where nothing of it was sent.
    unsent: Option<SentBody>,
}

impl Asking<'_> {
    /// Sends a request and returns when the answer can be passed on: when its head is there, and all of a small one.
    pub(crate) async fn send(&self, parts: Parts, body: SentBody) -> Result<Answered, Trouble> {
        self.group.retries().request(Instant::now());
        let (mut tried, mut body) = (Vec::new(), Some(body));
        let is_empty = body.as_ref().is_some_and(SentBody::is_empty);
        let mut seed = self.seed;
        loop {
            let ask = Ask { sticky: self.sticky.as_ref(), tried: &tried };
            let mut in_flight = self.group.pick_or_wait(&ask, || next(&mut seed)).await?;
            let sent =
                self.send_to(&mut in_flight, &parts, body.take().unwrap_or_else(SentBody::empty), is_empty).await;
            let failed = match begun(sent, &mut in_flight).await {
                Ok((response, small, sender)) => return Ok(Answered { response, small, in_flight, sender }),
                Err(failed) => failed,
            };
            let now = Instant::now();
            in_flight.record(failed.outcome, now);
            let replay = if is_empty { Replay::Empty } else { Replay::Stream };
            let attempt = Attempt {
                method: &parts.method,
                failure: failed.how,
                replay: if failed.unsent.is_some() { Replay::Empty } else { replay },
                retried: u32::try_from(tried.len()).unwrap_or(u32::MAX),
            };
            let may =
                may_retry(&attempt, &self.group.settings().retries).is_ok() && self.group.retries().try_retry(now);
            if !may {
                return Err(failed.trouble);
            }
            body = failed.unsent;
            tried.push(in_flight.id().clone());
        }
    }

    /// Over a connection that waits, where there is one; else, or where that turns out to be closed, over a new one.
    async fn send_to(
        &self,
        in_flight: &mut InFlight,
        parts: &Parts,
        mut body: SentBody,
        is_empty: bool,
    ) -> Result<(Response<Incoming>, Sender), Failed> {
        let only_reads = parts.method.is_safe() && is_empty;
        while let Some(sender) = line::take(in_flight, Instant::now()) {
            // What cannot be sent once more is not sent to an instance that is gone, though nobody has noticed yet.
            if !only_reads && !sender.is_open().await {
                continue;
            }
            match self.exchange(sender, in_flight, parts, body).await {
                Ok(answered) => return Ok(answered),
                Err(Failed { unsent: Some(unsent), .. }) => body = unsent,
                // Closed as it waited, which says nothing of the instance.
                Err(Failed { how: Failure::Reset, .. }) if only_reads => {
                    body = SentBody::empty();
                    break;
                }
                Err(failed) => return Err(failed),
            }
        }
        let sender = match self.connect(in_flight).await {
            Ok(sender) => sender,
            Err(failed) => return Err(Failed { unsent: Some(body), ..failed }),
        };
        self.exchange(sender, in_flight, parts, body).await
    }

    async fn connect(&self, in_flight: &InFlight) -> Result<Sender, Failed> {
        let id = in_flight.id();
        let failed = |error: std::io::Error| {
            let is_refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
            let outcome = if is_refused { Outcome::Refused } else { Outcome::Unreachable };
            Failed { trouble: Trouble::Connect(id.clone(), error), how: Failure::Connect, outcome, unsent: None }
        };
        let Ok(instance) = id.as_str().parse() else { return Err(failed(std::io::ErrorKind::InvalidInput.into())) };
        let stream = self.instances.connect(&instance, in_flight.node().as_str()).await.map_err(failed)?;
        line::open(stream, in_flight).await.map_err(|error| failed(std::io::Error::other(error)))
    }

    async fn exchange(
        &self,
        mut sender: Sender,
        in_flight: &mut InFlight,
        parts: &Parts,
        body: SentBody,
    ) -> Result<(Response<Incoming>, Sender), Failed> {
        let (request, within) = match in_flight.protocol() {
            Protocol::Http1 => (SentBody::announced(Request::from_parts(parts.clone(), body)), HEAD_WITHIN),
            Protocol::H2c => {
                let body = body.into_stream(self.stream_timeout);
                (Request::from_parts(outbound::over_http2(parts), body), self.stream_timeout)
            }
        };
        let id = in_flight.id().clone();
        match timeout(within, sender.send(request)).await {
            Ok(Ok(response)) => Ok((response, sender)),
            Ok(Err(mut failed)) => {
                let unsent = failed.take_message().map(Request::into_body);
                let error = failed.into_error();
                let how = if unsent.is_some() { Failure::Unsent } else { Failure::Reset };
                Err(Failed { trouble: Trouble::Reset(id, error), how, outcome: Outcome::Reset, unsent })
            }
            Err(_) => Err(Failed {
                trouble: Trouble::TimedOut(id),
                how: Failure::TimedOut,
                outcome: Outcome::TimedOut,
                unsent: None,
            }),
        }
    }
}

/// An answer of which something may be passed on, with all of a small one.
async fn begun(
    sent: Result<(Response<Incoming>, Sender), Failed>,
    in_flight: &mut InFlight,
) -> Result<(Response<Incoming>, Bytes, Sender), Failed> {
    let (mut response, sender) = sent?;
    match whole::read_small(response.body_mut()).await {
        Ok(small) => {
            in_flight.record(Outcome::Answered { status: response.status().as_u16() }, Instant::now());
            Ok((response, small, sender))
        }
        Err(error) => Err(Failed {
            trouble: Trouble::Cut(in_flight.id().clone(), error),
            how: Failure::Reset,
            outcome: Outcome::Reset,
            unsent: None,
        }),
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): a number that is spread well from one that is not.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
