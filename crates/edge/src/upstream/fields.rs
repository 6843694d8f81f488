//! Which header fields go along, in either direction. Pure.
//!
//! A request is built anew: what concerns only the client's own connection stays behind, what only a proxy could
//! rightly say is said by us, and a token of the platform, which would be a mistake of whoever sent it, goes nowhere. The
//! rest, cookies and `Authorization` included, was sent to this site, and its owner says where the site's requests go.

use std::collections::HashSet;
use std::net::IpAddr;

use http::header::{
    ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use skylift_model::RequestId;

use super::target::Target;
use crate::control_plane::drop_claims;

/// Says which platforms a request has passed through (RFC 8586), so that one never goes round in a circle.
pub(crate) const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
/// Our name there. The same for every platform like this one: a request is passed on once.
const PLATFORM: &str = "skylift";
/// How tokens of the platform begin.
const TOKEN_BEGINS: &str = "skylift_";

const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// A name that no standard knows, and that CGI makes `HTTP_PROXY` of, which clients inside an app follow (httpoxy).
const PROXY: HeaderName = HeaderName::from_static("proxy");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");

/// What belongs to one connection and never beyond it.
const OF_ONE_HOP: [HeaderName; 11] = [
    CONNECTION,
    HTTP2_SETTINGS,
    KEEP_ALIVE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHENTICATION_INFO,
    PROXY_AUTHORIZATION,
    PROXY_CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What is known of a request besides its own header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'k> {
    pub(crate) client: IpAddr,
    /// `http` or `https`.
    pub(crate) scheme: &'k str,
    pub(crate) id: &'k RequestId,
}

/// Whether a request says that it was passed on before.
pub(crate) fn was_passed_on(headers: &HeaderMap) -> bool {
    let named = |value: &HeaderValue| {
        value.to_str().is_ok_and(|text| {
            text.split(',').any(|one| one.split(';').next().is_some_and(|id| id.trim().eq_ignore_ascii_case(PLATFORM)))
        })
    };
    headers.get_all(CDN_LOOP).iter().any(named)
}

/// The header of a request as the other host gets it. `extra` are the rule's own fields.
pub(crate) fn onward(headers: &HeaderMap, target: &Target, known: Known<'_>, extra: &[(String, String)]) -> HeaderMap {
    let mut onward = headers.clone();
    drop_one_hop(&mut onward);
    drop_claims(&mut onward);
    drop_twins(&mut onward);
    drop_platform_tokens(&mut onward);
    // The body's length is told by the body; an `Expect` was met when the body was asked for.
    onward.remove(CONTENT_LENGTH);
    onward.remove(EXPECT);
    onward.remove(PROXY);
    let asked_host = onward.remove(HOST);
    for (name, value) in extra {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value))
            && !OF_ONE_HOP.contains(&name)
            && ![HOST, CONTENT_LENGTH, EXPECT, CDN_LOOP].contains(&name)
        {
            onward.insert(name, value);
        }
    }
    if let Some(host) = target.host_field() {
        onward.insert(HOST, host);
    }
    say(&mut onward, known, asked_host);
    onward.append(CDN_LOOP, HeaderValue::from_static(PLATFORM));
    onward
}

/// The header of a request as an instance of the app itself gets it: the client's, with what only we could rightly say.
pub(crate) fn inward(headers: &HeaderMap, known: Known<'_>) -> HeaderMap {
    let mut inward = headers.clone();
    drop_one_hop(&mut inward);
    drop_claims(&mut inward);
    drop_twins(&mut inward);
    drop_platform_tokens(&mut inward);
    // The body's length is told by the body; an `Expect` was met when the body was asked for.
    inward.remove(CONTENT_LENGTH);
    inward.remove(EXPECT);
    inward.remove(PROXY);
    let host = inward.get(HOST).cloned();
    say(&mut inward, known, host);
    inward
}

/// What is known of a request, for whom it is passed on to.
fn say(headers: &mut HeaderMap, known: Known<'_>, asked_host: Option<HeaderValue>) {
    let mut set = |name: &'static str, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-forwarded-for", HeaderValue::from_str(&known.client.to_canonical().to_string()).ok());
    set("x-forwarded-proto", HeaderValue::from_str(known.scheme).ok());
    set("x-forwarded-host", asked_host);
    set("x-request-id", HeaderValue::from_str(known.id.as_str()).ok());
}

/// The header of an answer as the client gets it. `host` is the name that the client asked for, without its port.
pub(crate) fn homeward(mut headers: HeaderMap, host: &str) -> HeaderMap {
    drop_one_hop(&mut headers);
    // It would lead visitors of this name past us.
    headers.remove(ALT_SVC);
    keep_own_cookies(&mut headers, host);
    headers
}

/// Trailers as the other end gets them: what may come behind a body, and nothing that a header alone can say.
pub(crate) fn trailers(mut trailers: HeaderMap) -> HeaderMap {
    drop_one_hop(&mut trailers);
    drop_claims(&mut trailers);
    drop_twins(&mut trailers);
    for name in [ALT_SVC, AUTHORIZATION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, SET_COOKIE] {
        trailers.remove(name);
    }
    trailers
}

/// Whether a method can be passed on: `CONNECT` asks for a tunnel, and `TRACE` would show what we add.
pub(crate) fn is_passed_on(method: &Method) -> bool {
    !matches!(*method, Method::CONNECT | Method::TRACE)
}

fn drop_one_hop(headers: &mut HeaderMap) {
    let named: HashSet<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        // A client cannot have these taken out: they are what an answer is chosen and kept by.
        .filter(|name| ![HOST, AUTHORIZATION, CONTENT_LENGTH].contains(name) && !is_cache_field(name))
        .collect();
    for name in named.iter().chain(&OF_ONE_HOP) {
        headers.remove(name);
    }
}

/// Drops names that a lenient reader takes for one that frames the request: `content_length` is another name on the wire
/// only, and so is `transfer---encoding`.
fn drop_twins(headers: &mut HeaderMap) {
    let others = [HOST, CONTENT_LENGTH, EXPECT, CDN_LOOP];
    let is_twin = |name: &&HeaderName| {
        OF_ONE_HOP.iter().chain(&others).any(|other| other != *name && letters(other).eq(letters(name)))
    };
    let twins: Vec<HeaderName> = headers.keys().filter(is_twin).cloned().collect();
    for name in twins {
        headers.remove(name);
    }
}

/// A name without what stands between its letters and digits.
fn letters(name: &HeaderName) -> impl Iterator<Item = u8> {
    name.as_str().bytes().filter(u8::is_ascii_alphanumeric)
}

fn is_cache_field(name: &HeaderName) -> bool {
    use http::header::{AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, VARY};
    [AGE, CACHE_CONTROL, COOKIE, DATE, ETAG, EXPIRES, SET_COOKIE, VARY].contains(name)
}

fn drop_platform_tokens(headers: &mut HeaderMap) {
    let is_token = |value: &HeaderValue| {
        let text = value.as_bytes();
        text.windows(TOKEN_BEGINS.len()).any(|part| part == TOKEN_BEGINS.as_bytes())
    };
    for name in [AUTHORIZATION, HeaderName::from_static("x-api-key")] {
        if headers.get_all(&name).iter().any(is_token) {
            headers.remove(name);
        }
    }
}

/// Drops cookies that would also be sent to other names: those of other apps have the domain in common with this one.
fn keep_own_cookies(headers: &mut HeaderMap, host: &str) {
    let is_own = |value: &HeaderValue| {
        let attributes = value.as_bytes().split(|b| *b == b';').skip(1);
        let mut domains = attributes.filter_map(|attribute| {
            let text = String::from_utf8_lossy(attribute).trim().to_ascii_lowercase();
            let (name, value) = text.split_once('=').map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned()))?;
            (name == "domain").then_some(value)
        });
        domains.all(|domain| domain.is_empty() || domain.strip_prefix('.').unwrap_or(&domain) == host)
    };
    if headers.get_all(SET_COOKIE).iter().all(is_own) {
        return;
    }
    let kept: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().filter(|value| is_own(value)).cloned().collect();
    headers.remove(SET_COOKIE);
    for value in kept {
        headers.append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests;
