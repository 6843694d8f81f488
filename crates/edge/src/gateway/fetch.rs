//! Asks another host for an answer that may be kept, for everybody who wants it. Goes on whoever leaves.

use std::sync::Arc;
use std::time::Instant;

use http::header::{CONTENT_LENGTH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use http_body::Body;
use skylift_cache::{CacheStatus, Forwarded, Stored, storing};
use tokio::sync::oneshot;

use super::Gateway;
use super::from_cache::Sought;
use crate::body::{BodyError, EdgeBody};
use crate::kept::AskedAt;
use crate::kept::filling::{Filling, Room};
use crate::kept::flights::Flight;
use crate::now::now;
use crate::page::respond;
use crate::upstream::{GivenBody, Onward, SentBody, UpstreamError, fields};

/// Fields that some servers take for what the router should have decided. No answer says that it was chosen by them.
const OVERRIDES: [HeaderName; 9] = [
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-http-host-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-middleware-subrequest"),
];

/// One question to another host.
pub(super) struct Fetch {
    pub(super) gateway: Arc<Gateway>,
    pub(super) sought: Arc<Sought>,
    /// What is kept, too old.
    pub(super) stored: Option<Arc<Stored>>,
    /// The right to ask for all, where there is one.
    pub(super) flight: Option<Flight>,
    pub(super) why: Forwarded,
}

/// What came of it, for the one who asked.
pub(super) enum Fetched {
    /// This is kept, or was until now.
    Kept(Arc<Stored>, CacheStatus),
    /// The answer comes.
    Comes(Response<EdgeBody>, CacheStatus),
    Failed(UpstreamError),
}

impl Fetch {
    /// Asks, answers whoever waits for `reply`, and keeps what may be kept.
    pub(super) async fn run(self, reply: oneshot::Sender<Fetched>) {
        let asked = self.gateway.kept.asked_at(now().unix_ms);
        let errand = &self.sought.errand;
        let onward = Onward { method: Method::GET, headers: self.onward(), body: SentBody::empty() };
        let answered = self.gateway.upstream.exchange(errand.app(), &errand.target, onward).await;
        let received = now().unix_ms;
        let stand_in = || self.stored.as_ref().filter(|stored| stored.stands_in(received)).cloned();
        let response = match answered {
            Ok(response) => response,
            Err(error) => {
                let _ = reply.send(match stand_in() {
                    Some(stored) => {
                        self.gateway.metrics.passed_on(error.outcome());
                        let status = CacheStatus::Hit { ttl_s: stored.ttl_s(received) };
                        Fetched::Kept(stored, status)
                    }
                    None => Fetched::Failed(error),
                });
                return;
            }
        };
        self.gateway.metrics.passed_on("answered");
        let status = response.status();
        if let (StatusCode::NOT_MODIFIED, Some(stored)) = (status, &self.stored) {
            let _ = reply.send(self.confirmed(stored, response, asked, received));
            return;
        }
        if let (500 | 502..=504, Some(stored)) = (status.as_u16(), stand_in()) {
            let _ = reply.send(Fetched::Kept(stored.clone(), CacheStatus::Hit { ttl_s: stored.ttl_s(received) }));
            return;
        }
        self.take(response, asked, received, reply).await;
    }

    /// The request as the other host gets it: what the answer is chosen by, and whether what is kept has changed.
    fn onward(&self) -> HeaderMap {
        let mut headers = self.sought.errand.onward();
        for name in OVERRIDES.iter().chain(&[IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE]) {
            headers.remove(name);
        }
        if let Some(stored) = &self.stored {
            let conditions = [(IF_NONE_MATCH, stored.etag()), (IF_MODIFIED_SINCE, stored.last_modified())];
            headers.extend(conditions.into_iter().filter_map(|(name, value)| Some((name, value?.clone()))));
        }
        headers
    }

    /// What is kept has not changed.
    fn confirmed(&self, stored: &Stored, response: Response<GivenBody>, asked: AskedAt, received: u64) -> Fetched {
        let headers = fields::homeward(response.into_parts().0.headers, &self.sought.errand.host);
        let refreshed = stored.refreshed(&headers, (asked.time, received));
        let kept = &self.gateway.kept;
        let refreshed = if Stored::is_forbidden_by(&headers) {
            kept.drop_outdated(&self.sought.place);
            Arc::new(refreshed)
        } else {
            kept.keep(self.sought.place.clone(), self.sought.behind.clone(), refreshed, asked)
        };
        let ttl_s = refreshed.ttl_s(received);
        Fetched::Kept(refreshed, CacheStatus::Confirmed { why: self.why, status: 304, ttl_s })
    }

    /// A new answer: kept while it comes, if it may be.
    async fn take(self, response: Response<GivenBody>, asked: AskedAt, received: u64, reply: oneshot::Sender<Fetched>) {
        let Sought { errand, ask, place, behind } = &*self.sought;
        let kept = &self.gateway.kept;
        let (head, body) = response.into_parts();
        let headers = fields::homeward(head.headers, &errand.host);
        let draft = storing(ask, &errand.headers, head.status, &headers, (asked.time, received));
        let fits = body.size_hint().lower() <= kept.config.answer_bytes_max;
        let (Ok(mut draft), true) = (draft, fits) else {
            if self.stored.is_some() && !head.status.is_server_error() {
                kept.drop_outdated(place);
            }
            if let Some(flight) = &self.flight {
                flight.pass(Instant::now());
            }
            drop(self.flight);
            let status = CacheStatus::Asked { why: self.why, stored: false, collapsed: false };
            let _ = reply.send(Fetched::Comes(respond(head.status, headers, EdgeBody::other(body)), status));
            return;
        };
        let filling = Filling::new(&kept.held, kept.config.answer_bytes_max);
        let status = CacheStatus::Asked { why: self.why, stored: true, collapsed: false };
        let reader = EdgeBody::other(filling.reader(body.size_hint()));
        let _ = reply.send(Fetched::Comes(respond(head.status, headers, reader), status));
        if fill(&filling, body).await {
            let whole = filling.whole(&kept.held);
            if !draft.headers.contains_key(CONTENT_LENGTH) && !has_no_body(head.status) {
                draft.headers.insert(CONTENT_LENGTH, whole.len().into());
            }
            draft.body = whole;
            kept.keep(place.clone(), behind.clone(), draft, asked);
        } else if let Some(flight) = &self.flight {
            flight.pass(Instant::now());
        }
        drop(self.flight);
    }
}

fn has_no_body(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// Takes a body to its end; whether it came whole, and has room.
async fn fill(filling: &Filling, mut body: GivenBody) -> bool {
    loop {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            None => return true,
            Some(Err(error)) => {
                let error: BodyError = error;
                filling.broken(&error);
                return false;
            }
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if filling.push(data) == Room::None {
                    filling.hand_over(body);
                    return false;
                }
            }
        }
    }
}
