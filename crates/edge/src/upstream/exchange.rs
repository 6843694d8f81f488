//! One request to another host, and the head of its answer.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use skylift_model::AppName;
use tokio::time::timeout;

use super::pool::{Line, Sender};
use super::target::Target;
use super::{GivenBody, SentBody, Upstream, UpstreamError};

/// How long a connection that waited may take to be ready for its next request.
const READY_WITHIN: Duration = Duration::from_millis(100);

/// A request as it is passed on.
pub(crate) struct Onward {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: SentBody,
}

/// A request that failed, and whether it may be sent once more.
enum Failed {
    /// The other host got nothing of it: here it is.
    Unsent(Box<Request<SentBody>>),
    /// It closed a connection that had waited, which it may do at any time.
    Stale,
    ForGood(UpstreamError),
}

impl Upstream {
    /// Sends a request and returns when the head of the answer is there. What was sent is never sent again, unless it asks
    /// for nothing but reading.
    pub(crate) async fn exchange(
        &self,
        app: &AppName,
        target: &Target,
        onward: Onward,
    ) -> Result<Response<GivenBody>, UpstreamError> {
        let announced = onward.body.size_hint().lower();
        if announced > self.config.request_bytes_max {
            return Err(UpstreamError::TooLarge(self.config.request_bytes_max));
        }
        let over = onward.body.over();
        let answered = timeout(self.config.timeout, self.try_exchange(app, target, onward)).await;
        match answered.unwrap_or(Err(UpstreamError::Timeout)) {
            Err(_) if over.load(Ordering::Relaxed) => Err(UpstreamError::TooLarge(self.config.request_bytes_max)),
            // We offer to speak nothing else.
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => Err(UpstreamError::Switched),
            answered => answered,
        }
    }

    async fn try_exchange(
        &self,
        app: &AppName,
        target: &Target,
        onward: Onward,
    ) -> Result<Response<GivenBody>, UpstreamError> {
        let line = Line::new(app, target);
        let mut request = Request::new(onward.body);
        *request.method_mut() = onward.method;
        *request.uri_mut() = Uri::from(target.path_and_query.clone());
        *request.headers_mut() = onward.headers;
        let mut request = SentBody::announced(request);
        let only_reads = matches!(*request.method(), Method::GET | Method::HEAD) && request.body().is_empty();
        while let Some(sender) = self.waiting(&line).await {
            let (parts, body) = request.into_parts();
            let again = only_reads.then(|| parts.clone());
            match self.send(sender, &line, Request::from_parts(parts, body)).await {
                Ok(response) => return Ok(response),
                Err(Failed::Unsent(unsent)) => request = *unsent,
                Err(Failed::Stale) => match again {
                    Some(parts) => return self.send_anew(target, &line, from_parts(parts)).await,
                    None => return Err(UpstreamError::Stale),
                },
                Err(Failed::ForGood(error)) => return Err(error),
            }
        }
        self.send_anew(target, &line, request).await
    }

    /// Over a connection of its own.
    async fn send_anew(
        &self,
        target: &Target,
        line: &Line,
        request: Request<SentBody>,
    ) -> Result<Response<GivenBody>, UpstreamError> {
        let sender = self.connect(target).await?;
        self.send(sender, line, request).await.map_err(|failed| match failed {
            Failed::Unsent(_) | Failed::Stale => UpstreamError::Stale,
            Failed::ForGood(error) => error,
        })
    }

    async fn waiting(&self, line: &Line) -> Option<Sender> {
        loop {
            let mut sender = self.pool.take(line, Instant::now())?;
            if let Ok(Ok(())) = timeout(READY_WITHIN, sender.ready()).await {
                return Some(sender);
            }
        }
    }

    async fn send(
        &self,
        mut sender: Sender,
        line: &Line,
        request: Request<SentBody>,
    ) -> Result<Response<GivenBody>, Failed> {
        match sender.try_send_request(request).await {
            Ok(response) => {
                let back = (self.pool.clone(), line.clone(), sender);
                Ok(response.map(|body| GivenBody::new(body, self.config.timeout, back)))
            }
            Err(mut failed) => match failed.take_message() {
                Some(unsent) => Err(Failed::Unsent(Box::new(unsent))),
                None => {
                    let error = failed.into_error();
                    // An answer that is none is an answer; anything else may be how a closed connection looks.
                    let answered = error.is_parse() || error.is_parse_too_large();
                    Err(if answered { Failed::ForGood(UpstreamError::Exchange(error)) } else { Failed::Stale })
                }
            },
        }
    }
}

fn from_parts(parts: Parts) -> Request<SentBody> {
    Request::from_parts(parts, SentBody::empty())
}
