//! From a request to its answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use skylift_model::{DeploymentId, RequestId};

use crate::access::{self, Arrival, Led, Recorded};
use crate::body::EdgeBody;
use crate::content::{Content, Piece};
use crate::control_plane::{ClientAddress, ControlPlane, drop_claims};
use crate::host::{Destination, Host};
use crate::metrics::Metrics;
use crate::page::{Page, redirect, respond, welcome, without_body_for_head};
use crate::path::RequestPath;
use crate::request_ids::RequestIds;
use crate::routes::state::States;
use crate::routes::table::{Kind, Route, Target};
use crate::routes::view::Applied;
use crate::site::decide::{Ask, Chosen, Decision, Ranges};
use crate::sites::Sites;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// Everything that answering takes.
pub(crate) struct Gateway {
    pub(crate) domain: String,
    pub(crate) uri_bytes_max: usize,
    pub(crate) routes: Applied,
    pub(crate) states: States,
    pub(crate) sites: Arc<Sites>,
    pub(crate) content: Content,
    pub(crate) control_plane: ControlPlane,
    pub(crate) metrics: Metrics,
    pub(crate) request_ids: RequestIds,
}

/// Where a request goes, decided before anything is done for it.
enum Way {
    ControlPlane,
    Site(Arc<Route>),
    /// A deployment's own name that leads nowhere.
    Unrouted(String),
    Page(Page),
}

impl Gateway {
    /// Answers a request that came from `client` to the local address `local`.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        client: ClientAddress,
        local: IpAddr,
    ) -> Response<Recorded> {
        let id = self.request_ids.next();
        let arrival = Arrival {
            id: id.clone(),
            client,
            started: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: request.headers().get(HOST).cloned(),
        };
        let way = self.way(request.uri(), request.headers(), local);
        let (mut response, led) = self.go(way, request, client, &id).await;
        if let Ok(id) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        access::record(response, arrival, led)
    }

    fn way(&self, uri: &Uri, headers: &HeaderMap, local: IpAddr) -> Way {
        let target_bytes = uri.path_and_query().map_or(0, |target| target.as_str().len());
        if target_bytes > self.uri_bytes_max {
            return Way::Page(Page::uri_too_long(self.uri_bytes_max));
        }
        let host = match Host::of(uri, headers) {
            Ok(host) => host,
            Err(error) => return Way::Page(Page::bad_request(&error)),
        };
        match host.destination(&self.domain, local) {
            Destination::ControlPlane => Way::ControlPlane,
            Destination::Foreign => Way::Page(Page::misdirected(&self.domain)),
            Destination::Label(label) => match self.routes.route(label) {
                Some(route) => Way::Site(route),
                None if label.starts_with(DeploymentId::PREFIX) => Way::Unrouted(label.to_owned()),
                None => Way::Page(Page::unknown_app(label)),
            },
        }
    }

    async fn go(
        &self,
        way: Way,
        mut request: Request<Incoming>,
        client: ClientAddress,
        id: &RequestId,
    ) -> (Response<EdgeBody>, Led) {
        match way {
            Way::ControlPlane => {
                drop_claims(request.headers_mut());
                let led = Led { app: None, deployment: None, counters: self.metrics.control_plane() };
                if let Some(page) = welcome(request.method(), request.uri(), request.headers(), &self.domain) {
                    return (page, led);
                }
                ((self.control_plane)(request, client, id.clone()).await, led)
            }
            Way::Unrouted(label) => {
                let led = Led { app: None, deployment: None, counters: self.metrics.unknown() };
                let page = match self.states.of(&label).await {
                    Some(state) => Page::not_served(state),
                    None => Page::unknown_deployment(&label),
                };
                (without_body_for_head(page.respond(request.headers()), request.method()), led)
            }
            Way::Page(page) => {
                let led = Led { app: None, deployment: None, counters: self.metrics.unknown() };
                (without_body_for_head(page.respond(request.headers()), request.method()), led)
            }
            Way::Site(route) => {
                let response = self.answer_from(&route, &request, id).await;
                let deployment = route.target.as_ref().map(|target| target.deployment.clone());
                let led = Led { app: Some(route.app.clone()), deployment, counters: route.counters.clone() };
                (without_body_for_head(response, request.method()), led)
            }
        }
    }

    async fn answer_from(&self, route: &Route, request: &Request<Incoming>, id: &RequestId) -> Response<EdgeBody> {
        let headers = request.headers();
        let Some(target) = &route.target else { return Page::nothing_live(route.app.as_str()).respond(headers) };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Page::method_not_allowed().respond(headers);
        }
        let path = match RequestPath::parse(request.uri().path()) {
            Ok(path) => path,
            Err(error) => return Page::bad_request(&error).respond(headers),
        };
        let ranges = if request.method() == Method::GET { Ranges::Allowed } else { Ranges::Ignored };
        let ask = Ask { path, query: request.uri().query(), headers, ranges };
        let mut response = self.serve(target, &ask, request.method(), id).await;
        if route.kind == Kind::Deployment {
            // A deployment's own address is for looking at it; search engines should know the app's.
            response.headers_mut().insert(X_ROBOTS_TAG, HeaderValue::from_static("noindex"));
        }
        response
    }

    async fn serve(&self, target: &Target, ask: &Ask<'_>, method: &Method, id: &RequestId) -> Response<EdgeBody> {
        let site = match &target.site {
            Some(site) => site.clone(),
            None => match self.sites.get(&target.artifact).await {
                Ok(site) => site,
                Err(error) => return unreadable(&error, &target.deployment, ask.headers, id),
            },
        };
        let (status, chosen, first, length) = match site.decide(ask) {
            Decision::Whole(chosen) => (StatusCode::OK, chosen, 0, chosen.form.size),
            Decision::NotFoundPage(chosen) => (StatusCode::NOT_FOUND, chosen, 0, chosen.form.size),
            Decision::Part { chosen, first, length } => (StatusCode::PARTIAL_CONTENT, chosen, first, length),
            Decision::NotModified(chosen) => return not_modified(chosen),
            Decision::Redirect(to) => return redirect(&to, ask.headers),
            Decision::NotFound => return Page::not_found().respond(ask.headers),
            Decision::NotAcceptable => return Page::not_acceptable().respond(ask.headers),
            Decision::PreconditionFailed => return Page::precondition_failed().respond(ask.headers),
            Decision::RangeNotSatisfiable(size) => return Page::range_not_satisfiable(size).respond(ask.headers),
        };
        let headers = head_of(status, chosen, first, length);
        if method == Method::HEAD {
            return respond(status, headers, EdgeBody::empty());
        }
        let piece = Piece { digest: chosen.form.digest, size: chosen.form.size, first, length };
        match self.content.open(piece).await {
            Ok(body) => respond(status, headers, body),
            Err(error) => unreadable(&error, &target.deployment, ask.headers, id),
        }
    }
}

fn head_of(status: StatusCode, chosen: Chosen<'_>, first: u64, length: u64) -> HeaderMap {
    let mut headers = chosen.entry.head(chosen.form).headers.clone();
    if status == StatusCode::NOT_FOUND {
        // It stands for whatever was asked for, which may exist the next time.
        headers.remove(ETAG);
        headers.remove(ACCEPT_RANGES);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let last = first + length.saturating_sub(1);
        if let Ok(range) = HeaderValue::from_str(&format!("bytes {first}-{last}/{}", chosen.form.size)) {
            headers.insert(CONTENT_RANGE, range);
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    headers
}

/// The head of the 200 it stands for, without what describes a body.
fn not_modified(chosen: Chosen<'_>) -> Response<EdgeBody> {
    let mut headers = chosen.entry.head(chosen.form).headers.clone();
    for name in [CONTENT_LENGTH, CONTENT_TYPE, http::header::CONTENT_ENCODING, ACCEPT_RANGES] {
        headers.remove(name);
    }
    respond(StatusCode::NOT_MODIFIED, headers, EdgeBody::empty())
}

fn unreadable(
    error: &(dyn std::error::Error + 'static),
    deployment: &DeploymentId,
    headers: &HeaderMap,
    id: &RequestId,
) -> Response<EdgeBody> {
    tracing::error!(request.id = %id, deployment.id = %deployment, error, "content cannot be served");
    Page::bad_content().respond(headers)
}
