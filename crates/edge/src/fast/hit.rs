//! The file that a plain request leads to, and the head it is sent with.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::gateway::heads::not_modified;
use crate::host::{Destination, Host};
use crate::now::Moment;
use crate::path::RequestPath;
use crate::plain::judge::Plain;
use crate::routes::table::{Kind, Route, RouteTable, Target};
use crate::site::ServedSite;
use crate::site::decide::{Ask, Chosen, Decision, Ranges};
use crate::wire;

/// Where a plain request leads.
pub(super) struct Hit<'t> {
    pub(super) route: &'t Route,
    pub(super) status: StatusCode,
    pub(super) chosen: Chosen<'t>,
}

/// What a plain request leads to, if that is a deployment.
pub(super) fn lead<'t>(
    table: &'t RouteTable,
    domain: &str,
    local: IpAddr,
    plain: &Plain<'_>,
) -> Option<(&'t Arc<Route>, &'t Target)> {
    let host = Host::parse(plain.host.as_bytes()).ok()?;
    let Destination::Label(label) = host.destination(domain, local) else { return None };
    let route = table.route(label)?;
    Some((route, route.target.as_ref()?))
}

/// Where a plain request leads, if that is a file of a live deployment.
pub(super) fn find<'t>(
    (route, target): (&'t Arc<Route>, &'t Target),
    plain: &Plain<'_>,
    headers: &mut HeaderMap,
) -> Option<Hit<'t>> {
    // Rules may look at anything in a request; the strict implementation has all of it.
    let site: &ServedSite = target.site.as_ref().filter(|site| site.rules().is_none())?;
    let (path, query) = match plain.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (plain.target, None),
    };
    headers.clear();
    for (name, value) in plain.asks.iter().flatten() {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?);
    }
    let path = RequestPath::parse(path).ok()?;
    match site.decide(&Ask { path, query, headers, ranges: Ranges::Ignored }) {
        // An empty body is framed in a way of its own; there is nothing to gain from knowing it here.
        Decision::Whole(chosen) if chosen.form.size > 0 => Some(Hit { route, status: StatusCode::OK, chosen }),
        Decision::NotModified(chosen) => Some(Hit { route, status: StatusCode::NOT_MODIFIED, chosen }),
        _ => None,
    }
}

impl Hit<'_> {
    /// A whole head, the same that the strict implementation would write.
    pub(super) fn write_head(&self, id: &str, now: Moment, out: &mut Vec<u8>) {
        out.clear();
        if self.status == StatusCode::OK {
            out.extend_from_slice(self.chosen.entry.wire(self.chosen.form));
        } else {
            out.extend_from_slice(&wire::head(self.status, &not_modified(self.chosen)));
        }
        if self.route.kind == Kind::Deployment {
            wire::field(out, "x-robots-tag", b"noindex");
        }
        wire::field(out, "x-request-id", id.as_bytes());
        wire::end(out, now);
    }
}
