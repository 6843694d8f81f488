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
use crate::control_plane::{drop_claims, is_claim};

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
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
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
    let named = named_by_connection(headers);
    let mut inward = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        if goes_inward(name.as_str()) && !named.contains(name) {
            inward.append(name, value.clone());
        }
    }
    drop_platform_tokens(&mut inward);
    let host = inward.get(HOST).cloned();
    say(&mut inward, known, host);
    inward
}

/// Whether a field of a request goes to an instance as the client sent it. `name` is in lower case. The length of a body is told by the
/// body, and an `Expect` was met when the body was asked for.
pub(crate) fn goes_inward(name: &str) -> bool {
    match framing(name) {
        Some(framing) => framing == name && matches!(name, "host" | "cdn-loop"),
        None => name != "proxy" && !is_claim(name),
    }
}

/// Whether a field of an answer goes to the client. `name` is in lower case. An alternative service would lead visitors of this name
/// past us.
pub(crate) fn goes_homeward(name: &str) -> bool {
    name != "alt-svc" && !OF_ONE_HOP.iter().any(|other| other.as_str() == name)
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
    let named = named_by_connection(headers);
    for name in named.iter().chain(&OF_ONE_HOP) {
        headers.remove(name);
    }
}

/// The fields that belong to this connection alone, because it says so.
fn named_by_connection(headers: &HeaderMap) -> HashSet<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    names.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).filter(may_be_named).collect()
}

/// A client cannot have these taken out: they are what an answer is chosen and kept by.
pub(crate) fn may_be_named(name: &HeaderName) -> bool {
    ![HOST, AUTHORIZATION, CONTENT_LENGTH].contains(name) && !is_cache_field(name)
}

/// Drops names that a lenient reader takes for one that frames the request: `content_length` is another name on the wire
/// only, and so is `transfer---encoding`.
fn drop_twins(headers: &mut HeaderMap) {
    let is_twin = |name: &&HeaderName| framing(name.as_str()).is_some_and(|framing| framing != name.as_str());
    let twins: Vec<HeaderName> = headers.keys().filter(is_twin).cloned().collect();
    for name in twins {
        headers.remove(name);
    }
}

/// The field by which messages or their ways are told apart that a reader could take this one for, who looks at letters and digits
/// alone. `name` is in lower case.
fn framing(name: &str) -> Option<&'static str> {
    let mut letters = [0; LETTERS_MAX];
    let mut length = 0;
    for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
        *letters.get_mut(length)? = byte;
        length += 1;
    }
    Some(match letters.get(..length)? {
        b"cdnloop" => "cdn-loop",
        b"connection" => "connection",
        b"contentlength" => "content-length",
        b"expect" => "expect",
        b"host" => "host",
        b"http2settings" => "http2-settings",
        b"keepalive" => "keep-alive",
        b"proxyauthenticate" => "proxy-authenticate",
        b"proxyauthenticationinfo" => "proxy-authentication-info",
        b"proxyauthorization" => "proxy-authorization",
        b"proxyconnection" => "proxy-connection",
        b"te" => "te",
        b"trailer" => "trailer",
        b"transferencoding" => "transfer-encoding",
        b"upgrade" => "upgrade",
        _ => return None,
    })
}

/// How many letters and digits the longest of them has.
const LETTERS_MAX: usize = "proxyauthenticationinfo".len();

fn is_cache_field(name: &HeaderName) -> bool {
    use http::header::{AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, VARY};
    [AGE, CACHE_CONTROL, COOKIE, DATE, ETAG, EXPIRES, SET_COOKIE, VARY].contains(name)
}

fn drop_platform_tokens(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, X_API_KEY] {
        if headers.get_all(&name).iter().any(|value| has_platform_token(value.as_bytes())) {
            headers.remove(name);
        }
    }
}

/// Whether a value has a token of the platform in it.
pub(crate) fn has_platform_token(value: &[u8]) -> bool {
    value.windows(TOKEN_BEGINS.len()).any(|part| part == TOKEN_BEGINS.as_bytes())
}

/// Drops cookies that would also be sent to other names: those of other apps have the domain in common with this one.
fn keep_own_cookies(headers: &mut HeaderMap, host: &str) {
    let is_own = |value: &HeaderValue| is_own_cookie(value.as_bytes(), host);
    if headers.get_all(SET_COOKIE).iter().all(is_own) {
        return;
    }
    let kept: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().filter(|value| is_own(value)).cloned().collect();
    headers.remove(SET_COOKIE);
    for value in kept {
        headers.append(SET_COOKIE, value);
    }
}

/// Whether a cookie stays with the host that sets it.
pub(crate) fn is_own_cookie(cookie: &[u8], host: &str) -> bool {
    let attributes = cookie.split(|b| *b == b';').skip(1);
    let mut domains = attributes.filter_map(|attribute| {
        let text = String::from_utf8_lossy(attribute).trim().to_ascii_lowercase();
        let (name, value) = text.split_once('=').map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned()))?;
        (name == "domain").then_some(value)
    });
    domains.all(|domain| domain.is_empty() || domain.strip_prefix('.').unwrap_or(&domain) == host)
}

#[cfg(test)]
mod tests;
