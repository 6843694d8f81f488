//! One line and one count for every request, when its answer has ended, however it ended.

mod line;
mod log;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use skylift_model::RequestId;

use crate::body::{BodyError, EdgeBody};
use crate::clients::Scheme;
use crate::control_plane::ClientAddress;
use crate::metrics::Counters;
use crate::now::{Moment, now};
use crate::pace::{Busy, Sending};
use crate::routes::table::Route;

pub use line::AccessStyle;
pub(crate) use line::Line;
pub use log::AccessLog;

/// What is known of a request when its head was read.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) id: RequestId,
    pub(crate) client: ClientAddress,
    pub(crate) started: Moment,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) scheme: Scheme,
    /// Where a declared proxy names it.
    pub(crate) country: Option<String>,
}

/// Where a request led.
pub(crate) struct Led {
    /// `None` for requests that led to no site.
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) counters: Arc<Counters>,
}

impl Led {
    /// To no site.
    pub(crate) fn nowhere(counters: Arc<Counters>) -> Self {
        Self { route: None, counters }
    }
}

/// Noted on an answer that another host gave, or should have given.
#[derive(Clone, Debug, Default)]
pub(crate) struct PassedOn {
    /// The host, with its port where that is not the usual one.
    pub(crate) host: Box<str>,
    /// What the cache made of it, where one was asked.
    pub(crate) cache: Option<&'static str>,
}

/// A body that tells of itself when it is dropped.
pub(crate) struct Recorded {
    body: EdgeBody,
    // In a box, since bodies are moved about. `None` where it goes on after the answer.
    record: Option<Box<Record>>,
}

/// The record of a request whose connection speaks something else behind its answer. It ends when this is dropped.
pub(crate) struct Unended(Box<Record>);

struct Record {
    log: AccessLog,
    /// The connection is busy for as long as the answer is on its way.
    held: (Busy, Option<Sending>),
    arrival: Arrival,
    led: Led,
    status: u16,
    sent: u64,
    ending: Ending,
    passed_on: Option<PassedOn>,
    /// How long the answer's head took, where what comes behind it is no part of the answer.
    took: Option<Duration>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// All of it was taken, or there was nothing to take.
    Complete,
    /// The client left, or the bytes could not be read.
    Cut,
}

/// Makes an answer be recorded when it ends.
pub(crate) fn record(
    mut response: Response<EdgeBody>,
    arrival: Arrival,
    led: Led,
    log: AccessLog,
    held: (Busy, Option<Sending>),
) -> Response<Recorded> {
    let passed_on = response.extensions_mut().remove::<PassedOn>();
    let status = response.status().as_u16();
    // Answers to HEAD are never asked for their body.
    let nothing_to_send = response.body().is_end_stream() || arrival.method == Method::HEAD;
    let ending = if nothing_to_send { Ending::Complete } else { Ending::Cut };
    response.map(|body| Recorded {
        body,
        record: Some(Box::new(Record { log, held, arrival, led, status, sent: 0, ending, passed_on, took: None })),
    })
}

/// Makes a connection that speaks something else from here on be recorded when that ends.
pub(crate) fn record_opened(
    response: Response<EdgeBody>,
    arrival: Arrival,
    led: Led,
    log: AccessLog,
    busy: Busy,
) -> (Response<Recorded>, Unended) {
    let (status, took) = (response.status().as_u16(), now().instant.saturating_duration_since(arrival.started.instant));
    let record = Record {
        log,
        held: (busy, None),
        arrival,
        led,
        status,
        sent: 0,
        ending: Ending::Cut,
        passed_on: None,
        took: Some(took),
    };
    (response.map(|_| Recorded { body: EdgeBody::empty(), record: None }), Unended(Box::new(record)))
}

impl Unended {
    pub(crate) fn id(&self) -> &RequestId {
        &self.0.arrival.id
    }

    /// So many bytes went to the client.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.0.sent = bytes;
    }

    /// It came to its end.
    pub(crate) fn complete(&mut self) {
        self.0.ending = Ending::Complete;
    }
}

impl Body for Recorded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        let Some(record) = &mut this.record else { return frame };
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let (_, Some(sending)) = &record.held {
                    sending.moved();
                }
                record.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
                if this.body.is_end_stream() {
                    record.ending = Ending::Complete;
                }
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::warn!(request.id = %record.arrival.id, error = &**error, "an answer was cut short");
            }
            Poll::Ready(None) => record.ending = Ending::Complete,
            // Whoever reads for us is slow, not the client.
            Poll::Pending => {
                if let (_, Some(sending)) = &record.held {
                    sending.pause();
                }
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let ended = now();
        let duration = ended.instant.saturating_duration_since(self.arrival.started.instant);
        self.led.counters.count(self.status, self.sent, self.took.unwrap_or(duration));
        let route = self.led.route.as_deref();
        let Arrival { id, client, method, uri, host, .. } = &self.arrival;
        self.log.push(&Line {
            ended,
            id: id.as_str(),
            host: host.as_ref().and_then(|host| host.to_str().ok()),
            app: route.map(|route| route.app.as_str()),
            deployment: route.and_then(|route| route.target.as_ref()).map(|target| target.deployment.as_str()),
            method: method.as_str(),
            path: uri.path(),
            status: self.status,
            bytes: self.sent,
            duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            client: client.0,
            complete: self.ending == Ending::Complete,
            passed_on: self.passed_on.as_ref().map(|passed_on| &*passed_on.host),
            cache: self.passed_on.as_ref().and_then(|passed_on| passed_on.cache),
        });
    }
}
