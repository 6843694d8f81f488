//! From an edge to the process that answers the API.
//!
//! The request is made anew from its parsed form: the client's own connection headers go no further, and its address goes
//! along in `X-Forwarded-For`, which the other side believes where it trusts this one.

use std::time::Duration;

use axum::response::IntoResponse;
use http::header::{CONNECTION, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use skylift_api::ApiError;
use skylift_edge::{EdgeBody, RequestBody};
use skylift_model::wire::Code;

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long bytes that were sent may stay unacknowledged: what is cut off in the middle ends.
const SILENT_FOR: Duration = Duration::from_secs(10);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Where requests are handed on to. Cheap to clone; clones share connections.
#[derive(Clone)]
pub(crate) struct Upstream {
    client: Client<HttpConnector, RequestBody>,
    /// The bare domain. Which host leads to the control plane is decided at the edge; beyond it there is one name.
    domain: String,
}

impl Upstream {
    pub(crate) fn new(domain: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        connector.set_keepalive(Some(SILENT_FOR));
        connector.set_tcp_user_timeout(Some(SILENT_FOR));
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(30));
        Self { client: client.build(connector), domain: domain.to_owned() }
    }

    /// The answer of the process at `place`.
    pub(crate) async fn ask(
        &self,
        place: &str,
        request: Request<RequestBody>,
        client: std::net::IpAddr,
    ) -> Response<EdgeBody> {
        let request = match readdress(request, place, &self.domain, client) {
            Ok(request) => request,
            Err(error) => return unreachable_answer(place, &error),
        };
        match self.client.request(request).await {
            Ok(mut response) => {
                drop_connection_headers(response.headers_mut());
                response.map(EdgeBody::other)
            }
            Err(error) => unreachable_answer(place, &error),
        }
    }
}

/// The same request for another server.
fn readdress(
    mut request: Request<RequestBody>,
    place: &str,
    domain: &str,
    client: std::net::IpAddr,
) -> Result<Request<RequestBody>, http::Error> {
    let mut parts = request.uri().clone().into_parts();
    let authority: Authority = place.parse()?;
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(parts)?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    drop_connection_headers(headers);
    // The body is asked for when the other side wants it, which the client then learns from this edge.
    headers.remove(EXPECT);
    headers.insert(HOST, HeaderValue::from_str(domain)?);
    headers.insert(FORWARDED_FOR, HeaderValue::from_str(&client.to_string())?);
    Ok(request)
}

/// Takes out what was meant for the connection a message came by, and nothing beyond it.
fn drop_connection_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    for name in always.iter().chain(&named) {
        // What a message needs to arrive cannot be named away.
        if *name != HOST && *name != http::header::CONTENT_LENGTH {
            headers.remove(name);
        }
    }
}

fn unreachable_answer(place: &str, error: &(dyn std::error::Error + 'static)) -> Response<EdgeBody> {
    tracing::warn!(place, error, "the API does not answer");
    let answer = ApiError::new(
        Code::Unavailable,
        "the platform's API does not answer at the moment",
        "try again in a few seconds, with the same Idempotency-Key where you sent one; what is live is served on",
    );
    answer.into_response().map(EdgeBody::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_for_one_connection_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-own, host, content-length"),
            ("x-own", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("host", "localhost"),
            ("content-length", "3"),
            ("authorization", "Bearer x"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        drop_connection_headers(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "content-length", "host"]);
    }
}
