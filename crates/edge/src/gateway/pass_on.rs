//! Answers of other hosts, to which a site's rules pass requests on.

use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use skylift_model::chain;

use super::Gateway;
use super::errand::{self, Errand};
use super::steer::Away;
use crate::access::{Arrival, Led, PassedOn};
use crate::body::EdgeBody;
use crate::incoming::RequestBody;
use crate::page::{Page, respond};
use crate::routes::table::Route;
use crate::upstream::{GivenBody, Onward, SentBody, Target, UpstreamError, fields};

impl Gateway {
    /// Passes a request on, and the answer back; where the site says so, answers are kept and given again.
    pub(super) async fn pass_on(
        self: &Arc<Self>,
        away: Away,
        request: Request<Incoming>,
        arrival: &Arrival,
        led: &Led,
    ) -> Response<EdgeBody> {
        if let Some(refusal) = errand::refusal(&request) {
            return refusal.respond(request.headers());
        }
        let Some(route) = &led.route else { return Page::not_found().respond(request.headers()) };
        let named = Target::parse(&away.url).map(|target| target.authority()).unwrap_or_default();
        let (parts, body) = request.into_parts();
        let (headers, keeps) = (parts.headers.clone(), away.keeps);
        let body = SentBody::of(RequestBody::new(body, self.limits.body_timeout), self.upstream.request_bytes_max());
        let mut response = match Errand::new(parts, away, arrival, route) {
            Ok(errand) if keeps => self.answer_through_cache(errand, body).await,
            Ok(errand) => self.answer_directly(&errand, body).await,
            Err(error) => self.failed(&error, &headers, arrival.id.as_str(), route),
        };
        response.extensions_mut().get_or_insert_default::<PassedOn>().host = named.into();
        response
    }

    /// The other host's answer as it is.
    pub(super) async fn answer_directly(&self, errand: &Errand, body: SentBody) -> Response<EdgeBody> {
        let onward = Onward { method: errand.method.clone(), headers: errand.onward(), body };
        match self.ask_upstream(errand, onward).await {
            Ok(response) => {
                self.metrics.passed_on("answered");
                let (head, body) = response.into_parts();
                respond(head.status, fields::homeward(head.headers, &errand.host), EdgeBody::other(body))
            }
            Err(error) => self.failed(&error, &errand.headers, errand.id.as_str(), &errand.route),
        }
    }

    /// The exchange itself, on the threads of the control plane: an answer must not end with one thread of the edge.
    async fn ask_upstream(&self, errand: &Errand, onward: Onward) -> Result<Response<GivenBody>, UpstreamError> {
        let (upstream, app, target) = (self.upstream.clone(), errand.app().clone(), errand.target.clone());
        let mut asking = tokio::task::JoinSet::new();
        asking.spawn_on(async move { upstream.exchange(&app, &target, onward).await }, &self.elsewhere);
        match asking.join_next().await {
            Some(Ok(answered)) => answered,
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => Err(UpstreamError::Interrupted),
        }
    }

    /// The page for a request that was not answered. The owner is told why, the visitor what to do.
    pub(super) fn failed(
        &self,
        error: &UpstreamError,
        headers: &HeaderMap,
        id: &str,
        route: &Route,
    ) -> Response<EdgeBody> {
        self.metrics.passed_on(error.outcome());
        let deployment = route.target.as_ref().map(|target| target.deployment.as_str());
        let app = route.app.as_str();
        let error_chain = chain(error);
        tracing::warn!(
            request.id = id,
            app,
            deployment.id = deployment,
            error = error_chain,
            "a request was not passed on"
        );
        let page = match error {
            UpstreamError::Target(_) => Page::passed_nowhere(),
            UpstreamError::Loop | UpstreamError::Hop => Page::passed_in_a_circle(),
            UpstreamError::Busy | UpstreamError::Interrupted => Page::too_busy(),
            UpstreamError::TooLarge(bytes_max) => Page::body_too_large(*bytes_max),
            _ if error.outcome() == "timeout" => Page::passed_on_too_long(),
            _ => Page::not_answered(),
        };
        page.respond(headers)
    }
}
