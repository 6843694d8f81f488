//! The seam to the control plane: whatever answers on the bare domain.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Request, Response};
use skylift_model::RequestId;

use crate::body::EdgeBody;
use crate::incoming::RequestBody;

/// Where a request came from: the other end of its connection, or what a declared proxy says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub SocketAddr);

/// The platform's own name below the bare domain that a request was for, among its extensions: as [`crate::EdgeConfig::own_names`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnName(pub &'static str);

/// An answer on its way.
pub type ControlPlaneFuture = Pin<Box<dyn Future<Output = Response<EdgeBody>> + Send>>;

/// Answers requests to the bare domain, and to the platform's own names below it ([`OwnName`]). Nothing of the request's body was read before.
pub type ControlPlane = Arc<dyn Fn(Request<RequestBody>, ClientAddress, RequestId) -> ControlPlaneFuture + Send + Sync>;

/// Takes out the headers that only a proxy of ours could rightly have set: what they say of the client, where a declared
/// proxy says it, was read before and travels as a typed value.
pub(crate) fn drop_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

/// Whether only a proxy of ours could rightly have said what a field of this name says. `name` is in lower case. Readers in the style of
/// CGI take `x_request.id` for the same name, so its letters and digits alone count.
pub(crate) fn is_claim(name: &str) -> bool {
    let letters = || name.bytes().filter(u8::is_ascii_alphanumeric);
    let is = |other: &str| letters().eq(other.bytes());
    let begins = |other: &str| letters().take(other.len()).eq(other.bytes());
    // Most begin with none of these.
    match letters().next() {
        Some(b'f') => is("forwarded"),
        Some(b't') => is("trueclientip"),
        Some(b'x') => {
            begins("xforwarded") || begins("xskylift") || is("xrequestid") || is("xrealip") || is("xclientip")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_every_spelling_are_dropped_and_nothing_else() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-request-id",
            "x_request_id",
            "x-forwarded-for",
            "x.forwarded.for",
            "x-forwarded",
            "forwarded",
            "x-skylift-user",
            "x-real-ip",
            "x*real*ip",
        ] {
            headers.insert(HeaderName::from_static(name), http::HeaderValue::from_static("evil"));
        }
        for name in ["accept", "authorization", "x-api-key", "idempotency-key"] {
            headers.insert(HeaderName::from_static(name), http::HeaderValue::from_static("fine"));
        }
        drop_claims(&mut headers);
        assert!(headers.values().all(|value| value == "fine"));
        assert_eq!(headers.len(), 4);
    }
}
