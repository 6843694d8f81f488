//! From an edge to the process that answers the API.
//!
//! The request is made anew from its parsed form: the client's own connection headers go no further, and its address goes
//! along in `X-Forwarded-For`, the request's id in `X-Request-Id`, which the other side believes where it trusts this one.

use std::net::IpAddr;
use std::time::Duration;

use axum::response::IntoResponse;
use http::header::{CONNECTION, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use skylift_api::ApiError;
use skylift_edge::{EdgeBody, RequestBody};
use skylift_model::RequestId;
use skylift_model::wire::Code;

use super::switching;

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long bytes that were sent may stay unacknowledged: what is cut off in the middle ends.
const SILENT_FOR: Duration = Duration::from_secs(10);

/// How often it is looked whether a process that has not answered yet is still there, and how long that may take.
const LOOK_EVERY: Duration = Duration::from_secs(4);
const WELL_WITHIN: Duration = Duration::from_secs(4);

/// A request without a body.
type NoBody = http_body_util::Empty<bytes::Bytes>;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Where requests are handed on to. Cheap to clone; clones share connections.
#[derive(Clone)]
pub(crate) struct Upstream {
    client: Client<HttpConnector, RequestBody>,
    /// For asking how the other process is, on connections that are not kept.
    looks: Client<HttpConnector, NoBody>,
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
        connector.set_keepalive_interval(Some(SILENT_FOR / 2));
        connector.set_keepalive_retries(Some(3));
        let looks = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector.clone());
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(30));
        Self { client: client.build(connector), looks, domain: domain.to_owned() }
    }

    /// The answer of the process at `place`, on the bare domain or on one of the platform's own names below it.
    pub(crate) async fn ask(
        &self,
        (place, own): (&str, Option<&str>),
        request: Request<RequestBody>,
        client: IpAddr,
        id: &RequestId,
    ) -> Response<EdgeBody> {
        let request = match readdress(request, place, &self.host(own), client, id) {
            Ok(request) => request,
            Err(error) => return unreachable_answer(place, &error),
        };
        let answer = tokio::select! {
            answer = self.client.request(request) => answer,
            () = self.until_gone(place) => return unreachable_answer(place, &Gone),
        };
        match answer {
            // The edge tells its client in its own words what becomes of the connection.
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => response.map(EdgeBody::other),
            Ok(mut response) => {
                drop_connection_headers(response.headers_mut());
                response.map(EdgeBody::other)
            }
            Err(error) => unreachable_answer(place, &error),
        }
    }
}

impl Upstream {
    fn host(&self, own: Option<&str>) -> String {
        own.map_or_else(|| self.domain.clone(), |own| format!("{own}.{}", self.domain))
    }

    /// Returns once the process at `place` does not even say that it is well. An answer may take long; that does not.
    async fn until_gone(&self, place: &str) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let uri = format!("http://{place}/healthz");
            let request = Request::get(uri).header(HOST, &self.domain).body(NoBody::new());
            let Ok(request) = request else { return };
            let well = tokio::time::timeout(WELL_WITHIN, self.looks.request(request)).await;
            // Only its own answer counts, not that of something that stands in its place.
            if !well.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status() == StatusCode::OK)) {
                return;
            }
        }
    }
}

/// A process that was asked, and is gone before it answered.
#[derive(Debug, thiserror::Error)]
#[error("it does not even answer whether it is well")]
struct Gone;

/// The same request for another server.
fn readdress(
    mut request: Request<RequestBody>,
    place: &str,
    host: &str,
    client: IpAddr,
    id: &RequestId,
) -> Result<Request<RequestBody>, http::Error> {
    let mut parts = request.uri().clone().into_parts();
    let authority: Authority = place.parse()?;
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(parts)?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    let is_switch = switching::is_asked(headers);
    drop_connection_headers(headers);
    if is_switch {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    // The body is asked for when the other side wants it, which the client then learns from this edge.
    headers.remove(EXPECT);
    headers.insert(HOST, HeaderValue::from_str(host)?);
    headers.insert(FORWARDED_FOR, HeaderValue::from_str(&client.to_string())?);
    headers.insert(X_REQUEST_ID, HeaderValue::from_str(id.as_str())?);
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
