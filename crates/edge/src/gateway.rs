//! From a request to its answer, for the strict implementation.

mod answer;
mod draft;
mod errand;
mod fetch;
mod from_cache;
pub(crate) mod from_program;
mod from_site;
mod given;
pub(crate) mod heads;
mod pass_on;
mod skew;
mod steer;
mod sticky;
mod switched;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{CONNECTION, HOST, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use skylift_balance::StickyKey;
use skylift_model::net::lets_in;
use skylift_model::{AppName, DeploymentId};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::access::{self, AccessLog, Arrival, Led, Recorded};
use crate::body::EdgeBody;
use crate::clients::{Clients, FORWARDED_FOR, X_REQUEST_ID};
use crate::config::Limits;
use crate::content::Content;
use crate::control_plane::{ClientAddress, ControlPlane, OwnName, drop_claims};
use crate::cuts::Cuts;
use crate::host::{Destination, Host};
use crate::incoming::RequestBody;
use crate::kept::Kept;
use crate::metrics::Metrics;
use crate::now::{Moment, now};
use crate::pace::{Busy, Pace};
use crate::page::{Page, welcome, without_body_for_head};
use crate::program::Instances;
use crate::rate::{Bucket, TokenBuckets};
use crate::request_ids;
use crate::routes::state::States;
use crate::routes::table::Route;
use crate::routes::view::Applied;
use crate::sites::Sites;
use crate::upstream::Upstream;
use crate::websocket::tunnel::Opened;
use crate::websocket::{Handshake, Switch};
use answer::Answer;

/// Everything that answering takes.
pub(crate) struct Gateway {
    pub(crate) domain: String,
    /// Labels below it that are the platform's own, where no app has them.
    pub(crate) own_names: Vec<&'static str>,
    pub(crate) limits: Limits,
    /// For how long a replaced deployment's immutable files answer where the new one lacks them.
    pub(crate) skew_window: Duration,
    /// Whether plain requests are answered at once; the strict implementation gives the same answers, only slower, which
    /// `differential` holds us to.
    pub(crate) fast: bool,
    pub(crate) routes: Applied,
    pub(crate) states: States,
    pub(crate) sites: Arc<Sites>,
    pub(crate) content: Content,
    pub(crate) control_plane: ControlPlane,
    /// Where the control plane runs: what it does must not keep this edge's threads from serving sites.
    pub(crate) elsewhere: Handle,
    pub(crate) metrics: Metrics,
    pub(crate) access: AccessLog,
    pub(crate) clients: Clients,
    /// Whose connections had to be cut.
    pub(crate) cuts: Cuts,
    /// Other hosts that sites pass requests on to.
    pub(crate) upstream: Arc<Upstream>,
    /// Their answers, where a site has them kept.
    pub(crate) kept: Arc<Kept>,
    /// The way to instances of apps.
    pub(crate) instances: Arc<dyn Instances>,
    /// What keeps visitors with an instance of theirs.
    pub(crate) sticky_key: Arc<OnceLock<StickyKey>>,
    /// `None` where nothing is limited.
    pub(crate) buckets: Option<Arc<dyn TokenBuckets>>,
}

/// The connection that a request came by.
#[derive(Clone, Debug)]
pub(crate) struct From {
    pub(crate) peer: SocketAddr,
    /// The address that the client connected to.
    pub(crate) local: IpAddr,
    /// The one app that it leads to, where it is a link.
    pub(crate) linked: Option<AppName>,
    pub(crate) pace: Pace,
    pub(crate) switch: Switch,
}

/// Where a request goes, decided before anything is done for it.
enum Way {
    ControlPlane(Option<OwnName>),
    Site(Arc<Route>),
    /// A deployment's own name that leads nowhere.
    Unrouted(String),
    Page(Page),
}

/// A request of the strict implementation while it is answered: what is known of it, and its connection.
struct Asked {
    arrival: Arrival,
    busy: Busy,
    pace: Pace,
    /// Where it asks for another protocol: what becomes of its connection.
    switch: Option<Switch>,
}

impl Gateway {
    /// Answers a request; at once where nothing has to be waited for.
    pub(crate) fn answer(self: &Arc<Self>, mut request: Request<Incoming>, from: From) -> Answer {
        name_host(&mut request);
        let busy = from.pace.begin();
        let started = now();
        let said = |name| request.headers().get_all(name).iter().map(HeaderValue::as_bytes);
        let given = self.clients.request_id(from.peer, said(X_REQUEST_ID));
        let arrival = Arrival {
            id: given.unwrap_or_else(|| request_ids::next(started)),
            client: ClientAddress(self.clients.address(from.peer, said(FORWARDED_FOR))),
            started,
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: request.headers().get(HOST).cloned(),
            scheme: self.clients.scheme(from.peer, request.headers()),
            country: self.clients.country(from.peer, request.headers()),
        };
        let way = self.way(request.uri(), request.headers(), from.local);
        let way = allowed(way, from.linked.as_ref(), arrival.client.0);
        let switch = request.headers().contains_key(UPGRADE).then_some(from.switch);
        let asked = Asked { arrival, busy, pace: from.pace, switch };
        match way {
            Way::Page(page) => {
                let mut response = without_body_for_head(page.respond(request.headers()), request.method());
                if response.status() == StatusCode::BAD_REQUEST && request.version() != Version::HTTP_2 {
                    // Whoever is not clear about the host may not be about where the next request begins.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Answer::Now(Some(Box::new(self.finish(response, asked, Led::nowhere(self.metrics.unknown())))))
            }
            Way::Unrouted(label) => {
                let gateway = self.clone();
                Answer::Later(Box::pin(async move {
                    let page = match gateway.states.of(&label).await {
                        Some(state) => Page::not_served(state),
                        None => Page::unknown_deployment(&label),
                    };
                    let response = without_body_for_head(page.respond(request.headers()), request.method());
                    gateway.finish(response, asked, Led::nowhere(gateway.metrics.unknown()))
                }))
            }
            Way::Site(route) => self.answer_from_site(route, request, asked),
            Way::ControlPlane(own) => {
                let gateway = self.clone();
                Answer::Later(Box::pin(async move {
                    let response = gateway.ask_control_plane(request, own, &asked).await;
                    gateway.finish(response, asked, Led::nowhere(gateway.metrics.control_plane()))
                }))
            }
        }
    }

    /// Takes a request from what its client and the app may have; else says how long to wait.
    pub(crate) fn limit(&self, client: SocketAddr, route: &Route, now: Moment) -> Result<(), Duration> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        // Who comes by a link has no address to be counted by; the app that is asked has its own bucket.
        if !client.ip().is_unspecified() {
            buckets.take(Bucket::Client(client.ip()), now.instant)?;
        }
        buckets.take(Bucket::App(&route.app, &route.bucket), now.instant)
    }

    fn way(&self, uri: &Uri, headers: &HeaderMap, local: IpAddr) -> Way {
        let target_bytes = uri.path_and_query().map_or(0, |target| target.as_str().len());
        if target_bytes > self.limits.uri_bytes_max {
            return Way::Page(Page::uri_too_long(self.limits.uri_bytes_max));
        }
        let host = match Host::of(uri, headers) {
            Ok(host) => host,
            Err(error) => return Way::Page(Page::bad_request(&error)),
        };
        match host.destination(&self.domain, local) {
            Destination::ControlPlane => Way::ControlPlane(None),
            Destination::Foreign => Way::Page(Page::misdirected(&self.domain)),
            Destination::Label(label) => match self.routes.route(label) {
                Some(route) => Way::Site(route),
                None if let Some(own) = self.own_names.iter().find(|own| **own == label) => {
                    Way::ControlPlane(Some(OwnName(own)))
                }
                None if label.starts_with(DeploymentId::PREFIX) => Way::Unrouted(label.to_owned()),
                None => Way::Page(Page::unknown_app(label)),
            },
        }
    }

    /// The control plane's answer, which is made on its own threads, and given up when the client is gone.
    async fn ask_control_plane(
        &self,
        mut request: Request<Incoming>,
        own: Option<OwnName>,
        asked: &Asked,
    ) -> Response<EdgeBody> {
        let arrival = &asked.arrival;
        let handshake = match Handshake::of(&request) {
            Ok(handshake) => handshake,
            Err(error) => return Page::bad_request(&error).respond(request.headers()),
        };
        drop_claims(request.headers_mut());
        if let Some(own) = own {
            request.extensions_mut().insert(own);
        } else if let Some(page) = welcome(request.method(), request.uri(), request.headers(), &self.domain) {
            return page;
        }
        let request = request.map(|body| RequestBody::new(body, self.limits.body_timeout));
        let mut answering = JoinSet::new();
        answering.spawn_on((self.control_plane)(request, arrival.client, arrival.id.clone()), &self.elsewhere);
        match answering.join_next().await {
            Some(Ok(response)) => switched::give(response, handshake.as_ref().zip(asked.switch.as_ref())).await,
            // Its panic ends this connection, as it would have here.
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => Page::bad_content().respond(&HeaderMap::new()),
        }
    }

    /// Names the request in its answer, and has it recorded when it has ended.
    fn finish(&self, mut response: Response<EdgeBody>, asked: Asked, led: Led) -> Response<Recorded> {
        let Asked { arrival, busy, pace, switch } = asked;
        if let Ok(id) = HeaderValue::from_str(arrival.id.as_str()) {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        if let Some(switch) = switch {
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let (response, record) = access::record_opened(response, arrival, led, self.access.clone(), busy);
                switch.go(Opened { record, counted: self.metrics.websocket() });
                return response;
            }
            switch.stay();
        }
        // The control plane may have nothing to say for a while; a site always has.
        let sending = led.route.is_some().then(|| pace.begin_sending());
        access::record(response, arrival, led, self.access.clone(), (busy, sending))
    }
}

/// The same way, where it may be gone: by a link to its app alone, else by those whom the app's rules let in.
fn allowed(way: Way, linked: Option<&AppName>, client: SocketAddr) -> Way {
    match (linked, way) {
        (Some(app), Way::Site(route)) if route.app == *app => Way::Site(route),
        (Some(_), Way::Page(page)) => Way::Page(page),
        (Some(app), _) => Way::Page(Page::not_linked(app)),
        (None, Way::Site(route)) if !lets_in(&route.net_in, client.ip()) => Way::Page(Page::not_let_in()),
        (None, way) => way,
    }
}

/// Gives a request of HTTP/2 the Host header that its `:authority` stands for, so that one rule tells hosts apart. One
/// that has a Host header of its own keeps it, and is refused where the two disagree.
fn name_host<B>(request: &mut Request<B>) {
    if request.version() != Version::HTTP_2 || request.headers().contains_key(HOST) {
        return;
    }
    let host = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
}
