//! A request that is passed on: what has to be known of it, whoever does it and whenever.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri};
use skylift_cache::Place;
use skylift_model::{AppName, RequestId};

use super::steer::Away;
use crate::access::Arrival;
use crate::host::spelled;
use crate::page::Page;
use crate::routes::table::Route;
use crate::upstream::fields::{self, Known};
use crate::upstream::{Target, UpstreamError};
use crate::websocket::handshake::wants_websocket;

/// The page for a request that goes to no other host, whichever that is.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<Page> {
    if !fields::is_passed_on(request.method()) {
        return Some(Page::method_not_allowed());
    }
    wants_websocket(request.headers()).then(Page::no_other_protocol)
}

/// A request on its way to another host.
#[derive(Clone)]
pub(super) struct Errand {
    pub(super) method: Method,
    pub(super) uri: Uri,
    /// As the client sent them.
    pub(super) headers: HeaderMap,
    pub(super) away: Away,
    pub(super) target: Target,
    pub(super) id: RequestId,
    pub(super) route: Arc<Route>,
    /// What was asked for, in its one spelling.
    pub(super) host: String,
    client: IpAddr,
    scheme: &'static str,
}

impl Errand {
    pub(super) fn new(parts: Parts, away: Away, arrival: &Arrival, route: &Arc<Route>) -> Result<Self, UpstreamError> {
        let target = Target::parse(&away.url)?;
        if fields::was_passed_on(&parts.headers) {
            return Err(UpstreamError::Hop);
        }
        Ok(Self {
            host: host_of(&parts.headers),
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            away,
            target,
            id: arrival.id.clone(),
            route: route.clone(),
            client: arrival.client.0.ip(),
            scheme: arrival.scheme.as_str(),
        })
    }

    pub(super) fn app(&self) -> &AppName {
        &self.route.app
    }

    /// The fields that the other host gets.
    pub(super) fn onward(&self) -> HeaderMap {
        let known = Known { client: self.client, scheme: self.scheme, id: &self.id };
        fields::onward(&self.headers, &self.target, known, &self.away.headers)
    }

    /// Where its answer is kept. No rule is asked twice: it is the address that the router led here.
    pub(super) fn place(&self) -> Place {
        let deployment = self.route.target.as_ref().map_or("", |target| target.deployment.as_str());
        Place {
            app: self.route.app.as_str().into(),
            release: (deployment.into(), self.route.generation),
            scheme: self.scheme,
            host: self.host.as_str().into(),
            path: self.uri.path_and_query().map_or("/", |path| path.as_str()).into(),
        }
    }

    /// Whose answer it is, behind the place: a rule may look at anything in a request.
    pub(super) fn behind(&self) -> Arc<str> {
        let mut text = self.target.to_string();
        for (name, value) in &self.away.headers {
            text.push('\n');
            text.push_str(name);
            text.push(':');
            text.push_str(value);
        }
        text.into()
    }
}

/// The host that was asked for, in its one spelling.
pub(super) fn host_of(headers: &HeaderMap) -> String {
    headers.get(HOST).map_or_else(String::new, |host| spelled(host.as_bytes()))
}
