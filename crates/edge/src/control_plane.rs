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

/// An answer on its way.
pub type ControlPlaneFuture = Pin<Box<dyn Future<Output = Response<EdgeBody>> + Send>>;

/// Answers requests to the bare domain. Nothing of the request's body was read before.
pub type ControlPlane = Arc<dyn Fn(Request<RequestBody>, ClientAddress, RequestId) -> ControlPlaneFuture + Send + Sync>;

/// Takes out the headers that only a proxy of ours could rightly have set: what they say of the client, where a declared
/// proxy says it, was read before and travels as a typed value.
pub(crate) fn drop_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

/// Whether only a proxy of ours could rightly have said what a field of this name says. `name` is in lower case.
pub(crate) fn is_claim(name: &str) -> bool {
    // `x_request_id` is another name on the wire, but the same one to a CGI-style reader.
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    let is = |other: &str| name.bytes().map(dashed).eq(other.bytes());
    let begins =
        |other: &str| name.len() >= other.len() && name.bytes().map(dashed).zip(other.bytes()).all(|(a, b)| a == b);
    // Most begin with none of these.
    match name.as_bytes().first() {
        Some(b'f') => is("forwarded"),
        Some(b't') => is("true-client-ip"),
        Some(b'x') => {
            begins("x-forwarded-") || begins("x-skylift-") || is("x-request-id") || is("x-real-ip") || is("x-client-ip")
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
        for name in ["x-request-id", "x_request_id", "x-forwarded-for", "forwarded", "x-skylift-user", "x-real-ip"] {
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
