//! An instance that has answered: what becomes of the rest, and of its connection.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use skylift_balance::{InFlight, TargetId};
use tokio::time::timeout;

use super::Trouble;
use super::body::AnswerBody;
use super::line::Sender;
use crate::body::EdgeBody;
use crate::websocket::FarEnd;

/// How long a connection may take to be given back once its answer has said so.
const SWITCHED_WITHIN: Duration = Duration::from_secs(5);

/// The head of an answer, and what holds the rest.
pub(crate) struct Answered {
    pub(super) response: Response<Incoming>,
    /// What of the body is here: all of a small one.
    pub(super) small: Bytes,
    pub(super) in_flight: InFlight,
    pub(super) sender: Sender,
    /// Whether the connection may be used again behind the answer.
    pub(super) keeps: bool,
}

impl Answered {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Whose answer it is.
    pub(crate) fn instance(&self) -> &TargetId {
        self.in_flight.id()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The answer, if that is what it is; its connection is used again behind it.
    ///
    /// # Errors
    /// Where the status has no meaning: 101 unasked, or above 599. The connection is closed, whatever comes by it.
    pub(crate) fn into_response(self) -> Result<Response<EdgeBody>, Trouble> {
        let Self { response, small, in_flight, sender, keeps } = self;
        if !(200..600).contains(&response.status().as_u16()) {
            return Err(Trouble::NoAnswer(in_flight.id().clone(), response.status()));
        }
        Ok(response.map(|body| {
            let rest = AnswerBody::new(body, (in_flight, sender), keeps);
            if rest.is_end_stream() {
                return small.into();
            }
            if small.is_empty() {
                EdgeBody::other(rest)
            } else {
                EdgeBody::several([small.into(), EdgeBody::other(rest)])
            }
        }))
    }

    /// The connection itself, behind a 101 that was asked for.
    ///
    /// # Errors
    /// Where it ended.
    pub(crate) async fn into_far_end(self) -> Result<(HeaderMap, FarEnd), Trouble> {
        let Self { mut response, in_flight, sender: _sender, .. } = self;
        let id = || in_flight.id().clone();
        let switched = timeout(SWITCHED_WITHIN, hyper::upgrade::on(&mut response)).await;
        let stream = match switched {
            Ok(switched) => switched.map_err(|error| Trouble::Upgrade(id(), Some(error.into())))?,
            Err(_) => return Err(Trouble::Upgrade(id(), None)),
        };
        Ok((response.into_parts().0.headers, FarEnd { stream, in_flight: Some(in_flight) }))
    }
}
