//! Answers of other hosts, to which a site's rules pass requests on.

use http::header::HOST;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;

use super::Gateway;
use super::steer::Away;
use crate::access::{Arrival, Led, PassedOn};
use crate::body::EdgeBody;
use crate::host::Host;
use crate::incoming::RequestBody;
use crate::page::{Page, respond};
use crate::upstream::fields::{self, Known};
use crate::upstream::{Onward, SentBody, Target, UpstreamError};

impl Gateway {
    /// Passes a request on, and the answer back.
    pub(super) async fn pass_on(
        &self,
        away: Away,
        request: Request<Incoming>,
        arrival: &Arrival,
        led: &Led,
    ) -> Response<EdgeBody> {
        if !fields::is_passed_on(request.method()) {
            return Page::method_not_allowed().respond(request.headers());
        }
        if fields::wants_another_protocol(request.headers()) {
            return Page::no_other_protocol().respond(request.headers());
        }
        let asked_headers = request.headers().clone();
        let named = Target::parse(&away.url).map(|target| target.authority()).unwrap_or_default();
        let mut response = match self.try_pass_on(&away, request, arrival, led).await {
            Ok(response) => {
                self.metrics.passed_on("answered");
                response
            }
            Err(error) => {
                self.metrics.passed_on(error.outcome());
                told(&error, &named, arrival, led);
                page_for(&error).respond(&asked_headers)
            }
        };
        response.extensions_mut().insert(PassedOn { host: named.into() });
        response
    }

    async fn try_pass_on(
        &self,
        away: &Away,
        request: Request<Incoming>,
        arrival: &Arrival,
        led: &Led,
    ) -> Result<Response<EdgeBody>, UpstreamError> {
        let target = Target::parse(&away.url)?;
        let (parts, body) = request.into_parts();
        if fields::was_passed_on(&parts.headers) {
            return Err(UpstreamError::Hop);
        }
        let known = Known { client: arrival.client.0.ip(), scheme: arrival.scheme.as_str(), id: &arrival.id };
        let headers = fields::onward(&parts.headers, &target, known, &away.headers);
        let body = SentBody::of(RequestBody::new(body, self.limits.body_timeout), self.upstream.request_bytes_max());
        let onward = Onward { method: parts.method, headers, body };
        let response = self.ask_upstream(led, target, onward).await?;
        let (head, body) = response.into_parts();
        let headers = fields::homeward(head.headers, &host_of(&parts.headers));
        Ok(respond(head.status, headers, EdgeBody::other(body)))
    }

    /// The exchange itself, on the threads of the control plane: an answer must not end with one thread of the edge.
    async fn ask_upstream(
        &self,
        led: &Led,
        target: Target,
        onward: Onward,
    ) -> Result<Response<crate::upstream::GivenBody>, UpstreamError> {
        let upstream = self.upstream.clone();
        let Some(app) = led.route.as_ref().map(|route| route.app.clone()) else {
            return Err(UpstreamError::Interrupted);
        };
        let mut asking = tokio::task::JoinSet::new();
        asking.spawn_on(async move { upstream.exchange(&app, &target, onward).await }, &self.elsewhere);
        match asking.join_next().await {
            Some(Ok(answered)) => answered,
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => Err(UpstreamError::Interrupted),
        }
    }
}

/// The host that was asked for, in its one spelling.
fn host_of(headers: &HeaderMap) -> String {
    match headers.get(HOST).map(|host| Host::parse(host.as_bytes())) {
        Some(Ok(Host::Name(name))) => name.into_owned(),
        Some(Ok(Host::Address(address))) => address.to_string(),
        Some(Err(_)) | None => String::new(),
    }
}

fn page_for(error: &UpstreamError) -> Page {
    match error {
        UpstreamError::Target(_) => Page::passed_nowhere(),
        UpstreamError::Loop | UpstreamError::Hop => Page::passed_in_a_circle(),
        UpstreamError::Busy | UpstreamError::Interrupted => Page::too_busy(),
        UpstreamError::TooLarge(bytes_max) => Page::body_too_large(*bytes_max),
        _ if error.outcome() == "timeout" => Page::passed_on_too_long(),
        _ => Page::not_answered(),
    }
}

/// Tells the owner why; the visitor is told what to do.
fn told(error: &UpstreamError, host: &str, arrival: &Arrival, led: &Led) {
    let deployment =
        led.route.as_ref().and_then(|route| route.target.as_ref()).map(|target| target.deployment.as_str());
    let app = led.route.as_ref().map(|route| route.app.as_str());
    let error = error as &dyn std::error::Error;
    tracing::warn!(request.id = %arrival.id, app, deployment.id = deployment, host, error, "a request was not passed on");
}
