//! How a kept or passed-on answer is given to one client: its condition, its range, and what the cache says of it.

use http::header::{AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use skylift_cache::{CACHE_TAG, CacheStatus, Met, Stored, evaluate, if_range_holds};

use super::Gateway;
use super::from_cache::Sought;
use crate::access::PassedOn;
use crate::body::EdgeBody;
use crate::now::now;
use crate::page::{Page, respond};
use crate::range::{self, Range};

/// What only caches are told.
const FOR_CACHES: [HeaderName; 2] = [CACHE_TAG, HeaderName::from_static("cdn-cache-control")];

/// A kept answer for one request.
pub(super) fn from_kept(
    gateway: &Gateway,
    sought: &Sought,
    stored: &Stored,
    status: CacheStatus,
) -> Response<EdgeBody> {
    let request = &sought.errand.headers;
    let mut headers = stored.headers.clone();
    headers.insert(AGE, HeaderValue::from(stored.age_s(now().unix_ms)));
    let mut response = match evaluate(request, stored.status, &headers) {
        Met::NotModified => not_modified(headers),
        Met::Send => match wanted(&sought.errand.method, request, stored) {
            Range::Part(part) => {
                let last = part.first + part.length.saturating_sub(1);
                let range = format!("bytes {}-{last}/{}", part.first, stored.body.len());
                headers.extend(HeaderValue::from_str(&range).ok().map(|range| (CONTENT_RANGE, range)));
                headers.insert(CONTENT_LENGTH, part.length.into());
                let first = usize::try_from(part.first).unwrap_or(usize::MAX);
                let length = usize::try_from(part.length).unwrap_or(0);
                let end = first.saturating_add(length).min(stored.body.len());
                let bytes = stored.body.slice(first.min(end)..end);
                respond(StatusCode::PARTIAL_CONTENT, headers, bytes.into())
            }
            Range::Unsatisfiable => Page::range_not_satisfiable(stored.body.len() as u64).respond(request),
            Range::Whole | Range::Parts(_) => respond(stored.status, headers, stored.body.clone().into()),
        },
    };
    tell(gateway, &mut response, status);
    response
}

fn wanted(method: &Method, request: &HeaderMap, stored: &Stored) -> Range {
    let whole = *method != Method::GET || stored.status != StatusCode::OK || !if_range_holds(request, &stored.headers);
    if whole { Range::Whole } else { range::parse(request, stored.body.len() as u64) }
}

/// An answer for a client that may have it already.
pub(super) fn conditioned(response: Response<EdgeBody>, request: &HeaderMap) -> Response<EdgeBody> {
    match evaluate(request, response.status(), response.headers()) {
        Met::Send => response,
        Met::NotModified => not_modified(response.into_parts().0.headers),
    }
}

fn not_modified(mut headers: HeaderMap) -> Response<EdgeBody> {
    for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, CONTENT_RANGE] {
        headers.remove(name);
    }
    respond(StatusCode::NOT_MODIFIED, headers, EdgeBody::empty())
}

/// Says what the cache made of the request: to the client, the log and the counts.
pub(super) fn tell(gateway: &Gateway, response: &mut Response<EdgeBody>, status: CacheStatus) {
    for name in &FOR_CACHES {
        response.headers_mut().remove(name);
    }
    status.tell(response.headers_mut());
    response.extensions_mut().get_or_insert_default::<PassedOn>().cache = Some(status.word());
    gateway.metrics.sought(status.word());
}
