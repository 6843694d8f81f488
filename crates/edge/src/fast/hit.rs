//! The file that a plain request leads to, and the head it is sent with.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::accept::is_navigation;
use crate::gateway::heads::{dress, not_modified};
use crate::host::{Destination, Host};
use crate::now::Moment;
use crate::path::{Reach, RequestPath};
use crate::plain::judge::Plain;
use crate::routes::table::{Kind, Route, RouteTable, Target};
use crate::site::decide::{Ask, Chosen, Decision, Ranges};
use crate::site::find::Found;
use crate::site::ruled::{Asked, Ruled};
use crate::wire;

/// Where a plain request leads.
pub(super) struct Hit<'t> {
    pub(super) route: &'t Route,
    pub(super) status: StatusCode,
    pub(super) chosen: Chosen<'t>,
    /// What rules of the site have made of its head, where it has some.
    ruled_head: Option<Cow<'t, [u8]>>,
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
    let site = target.site.as_ref()?;
    let (raw, query) = match plain.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (plain.target, None),
    };
    headers.clear();
    for (name, value) in plain.asks.iter().flatten() {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?);
    }
    let headers = &*headers;
    let ask = Ask { path: RequestPath::parse(raw).ok()?, query, headers, ranges: Ranges::Ignored };
    let found = site.find(&ask.path, is_navigation(headers));
    let is_named = matches!(found, Found::File(_));
    // What has a page for whatever is not there has it for files of deployments before, too, but they come first.
    if !is_named && site.is_cloudflares() && !route.before.is_empty() {
        return None;
    }
    let (status, chosen) = match found.decide(&ask) {
        // An empty body is framed in a way of its own; there is nothing to gain from knowing it here.
        Decision::Whole(chosen) if chosen.form.size > 0 => (StatusCode::OK, chosen),
        Decision::NotModified(chosen) => (StatusCode::NOT_MODIFIED, chosen),
        _ => return None,
    };
    let ruled_head = match site.ruled() {
        None => None,
        // Rules may look at anything in a request, but where they need no more than the path of a file. What a deployment's
        // own name adds to the head comes after them, in a place of its own.
        Some(ruled) if is_named && route.kind == Kind::App => Some(head_by(ruled, raw, &ask.path, (status, chosen))?),
        Some(_) => return None,
    };
    Some(Hit { route, status, chosen, ruled_head })
}

/// The head that the rules of a site make of a file's, where nothing but the path decides about it.
fn head_by<'t>(
    ruled: &Ruled,
    raw: &str,
    path: &RequestPath<'_>,
    (status, chosen): (StatusCode, Chosen<'t>),
) -> Option<Cow<'t, [u8]>> {
    // An escape is a spelling more than a file is known by.
    if raw.contains('%') || path.reach != Reach::Files {
        return None;
    }
    let not_modified = status == StatusCode::NOT_MODIFIED;
    let asked = Asked { key_bytes: path.key.len(), ending: path.ending, not_modified };
    chosen.form.ruled_heads().get(asked, ruled, || {
        let mut head = if not_modified { self::not_modified(chosen) } else { chosen.entry.headers(chosen.form) };
        dress(ruled.rules.plain(raw)?, &mut head);
        Some(wire::head(status, &head))
    })
}

impl Hit<'_> {
    /// A whole head, the same that the strict implementation would write.
    pub(super) fn write_head(&self, id: &str, now: Moment, out: &mut Vec<u8>) {
        out.clear();
        match &self.ruled_head {
            Some(head) => out.extend_from_slice(head),
            None if self.status == StatusCode::OK => out.extend_from_slice(self.chosen.entry.wire(self.chosen.form)),
            None => out.extend_from_slice(&wire::head(self.status, &not_modified(self.chosen))),
        }
        if self.route.kind == Kind::Deployment {
            wire::field(out, "x-robots-tag", b"noindex");
        }
        wire::field(out, "x-request-id", id.as_bytes());
        wire::end(out, now);
    }
}
