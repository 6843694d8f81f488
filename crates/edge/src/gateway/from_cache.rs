//! Answers of other hosts that are kept: found, or asked for once for all who want the same.

use std::sync::Arc;
use std::time::Instant;

use http::header::{IF_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, Response};
use skylift_cache::{
    Ask, CacheStatus, Forwarded, Found, Millis, Place, Plan, Stored, Why, changed_paths, changes_things, plan,
};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Gateway;
use super::errand::Errand;
use super::fetch::{Fetch, Fetched};
use super::given::{conditioned, from_kept, tell};
use crate::body::EdgeBody;
use crate::kept::flights::{Flight, Join};
use crate::now::now;
use crate::page::Page;
use crate::upstream::{SentBody, UpstreamError};

/// How often a request waits for others that ask for the same before it asks for itself.
const WAITS_MAX: usize = 3;

/// A request and where its answer is kept.
pub(super) struct Sought {
    pub(super) errand: Errand,
    pub(super) ask: Ask,
    pub(super) place: Place,
    pub(super) behind: Arc<str>,
}

/// What is to be done with what is kept.
enum Look {
    /// It is the answer; whether the other host is to be asked for a newer one.
    Use(Arc<Stored>, bool),
    /// The other host is to be asked, and with what, too old, to compare.
    Ask(Forwarded, Option<Arc<Stored>>),
}

impl Gateway {
    /// The kept answer, or the other host's.
    pub(super) async fn answer_through_cache(self: &Arc<Self>, errand: Errand, body: SentBody) -> Response<EdgeBody> {
        let ask = match Ask::of(&errand.method, &errand.headers, !body.is_empty()) {
            Ok(_) if has_rare_condition(&errand.headers) => Err("condition"),
            Ok(ask) => Ok(ask),
            Err(bypass) => Err(bypass.as_str()),
        };
        match ask {
            Ok(ask) => {
                let (place, behind) = (errand.place(), errand.behind());
                self.seek(Arc::new(Sought { errand, ask, place, behind })).await
            }
            Err(detail) => {
                let mut response = self.answer_directly(&errand, body).await;
                self.note_changes(&errand, &response);
                tell(self, &mut response, CacheStatus::Bypassed { detail });
                response
            }
        }
    }

    /// Drops what an answered request may have changed.
    fn note_changes(&self, errand: &Errand, response: &Response<EdgeBody>) {
        if changes_things(&errand.method, response.status()) {
            let place = errand.place();
            for path in changed_paths(&errand.uri, &errand.host, response.headers()) {
                self.kept.drop_changed(place.at(&path), now().unix_ms);
            }
        }
    }

    async fn seek(self: &Arc<Self>, sought: Arc<Sought>) -> Response<EdgeBody> {
        let Sought { errand, ask, place, behind } = &*sought;
        for waits in 0.. {
            let moment = now().unix_ms;
            let (why, stored) = match self.look(&sought, moment) {
                Look::Use(stored, refresh) => {
                    if refresh {
                        self.refresh(&sought, &stored);
                    }
                    let status = match waits {
                        0 => CacheStatus::Hit { ttl_s: stored.ttl_s(moment) },
                        _ => CacheStatus::Asked { why: Forwarded::UriMiss, stored: false, collapsed: true },
                    };
                    return from_kept(self, &sought, &stored, status);
                }
                Look::Ask(why, stored) => (why, stored),
            };
            if ask.only_kept() {
                return Page::not_kept().respond(&errand.headers);
            }
            if ask.is_head || ask.wants_range {
                return self.ask_for_less(&sought, why).await;
            }
            let join =
                if waits < WAITS_MAX { self.kept.flights.join(place, behind, Instant::now()) } else { Join::Alone };
            let flight = match join {
                Join::Lead(flight) => Some(flight),
                Join::Alone => None,
                Join::Follow(landing) => {
                    if timeout(self.upstream.timeout(), landing.landed()).await.is_ok() {
                        continue;
                    }
                    None
                }
            };
            // Whoever led until now may have kept an answer after the look and before this lead.
            if flight.is_some() && matches!(self.look(&sought, moment), Look::Use(..)) {
                continue;
            }
            return self.fetched(&sought, why, stored, flight).await;
        }
        Page::not_answered().respond(&errand.headers)
    }

    /// What is kept for a request at this moment.
    fn look(&self, sought: &Sought, moment: Millis) -> Look {
        let stored = match self.kept.find(&sought.place, &sought.behind, &sought.errand.headers) {
            Found::Nothing => return Look::Ask(Forwarded::UriMiss, None),
            Found::Other => return Look::Ask(Forwarded::VaryMiss, None),
            Found::Hit(stored) => stored,
        };
        match plan(&sought.ask, &stored, moment) {
            Plan::AskAgain(Why::Stale) => Look::Ask(Forwarded::Stale, Some(stored)),
            Plan::AskAgain(Why::Request) => Look::Ask(Forwarded::Request, Some(stored)),
            found => Look::Use(stored, found == Plan::ServeAndRefresh),
        }
    }

    /// Only a head or a part: the other host's own, which is not kept.
    async fn ask_for_less(&self, sought: &Sought, why: Forwarded) -> Response<EdgeBody> {
        let mut response = self.answer_directly(&sought.errand, SentBody::empty()).await;
        let why = if sought.ask.wants_range { Forwarded::Partial } else { why };
        tell(self, &mut response, CacheStatus::Asked { why, stored: false, collapsed: false });
        response
    }

    /// Asks the other host, and gives its answer as it comes.
    async fn fetched(
        self: &Arc<Self>,
        sought: &Arc<Sought>,
        why: Forwarded,
        stored: Option<Arc<Stored>>,
        flight: Option<Flight>,
    ) -> Response<EdgeBody> {
        let (reply, answered) = oneshot::channel();
        let fetch = Fetch { gateway: self.clone(), sought: sought.clone(), stored, flight, why };
        // It goes on when this client leaves: others wait for it.
        self.elsewhere.spawn(fetch.run(reply));
        let request = &sought.errand.headers;
        match answered.await.unwrap_or(Fetched::Failed(UpstreamError::Interrupted)) {
            Fetched::Kept(stored, status) => from_kept(self, sought, &stored, status),
            Fetched::Comes(response, status) => {
                let mut response = conditioned(response, request);
                tell(self, &mut response, status);
                response
            }
            Fetched::Failed(error) => {
                let errand = &sought.errand;
                self.failed(&error, request, errand.id.as_str(), &errand.route)
            }
        }
    }

    /// Asks the other host anew, for nobody in particular, unless somebody does already.
    fn refresh(self: &Arc<Self>, sought: &Arc<Sought>, stored: &Arc<Stored>) {
        if let Join::Lead(flight) = self.kept.flights.join(&sought.place, &sought.behind, Instant::now()) {
            let stored = Some(stored.clone());
            let (gateway, sought) = (self.clone(), sought.clone());
            let fetch = Fetch { gateway, sought, stored, flight: Some(flight), why: Forwarded::Stale };
            let (reply, _) = oneshot::channel();
            self.elsewhere.spawn(fetch.run(reply));
        }
    }
}

/// Conditions that a reading request hardly ever has, and that only the other host should decide.
fn has_rare_condition(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_MATCH) || headers.contains_key(IF_UNMODIFIED_SINCE)
}
