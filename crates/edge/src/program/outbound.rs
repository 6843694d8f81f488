//! A request as it is written for HTTP/2. Pure.

use http::header::{CONNECTION, HOST, TE, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri, Version};

/// The same request: its host in the target, nothing of a single connection, and trailers are taken.
pub(super) fn over_http2(parts: &Parts) -> Parts {
    let mut parts = parts.clone();
    let host = parts.headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut target = Uri::default().into_parts();
    target.path_and_query = Some(parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    if let Some(host) = host {
        (target.scheme, target.authority) = (Some(Scheme::HTTP), Some(host));
        if let Ok(target) = Uri::from_parts(target) {
            parts.uri = target;
            parts.version = Version::HTTP_2;
            parts.headers.remove(HOST);
        }
    }
    for name in [CONNECTION, UPGRADE] {
        parts.headers.remove(name);
    }
    // gRPC asks for it, to find out proxies that drop trailers.
    parts.headers.insert(TE, HeaderValue::from_static("trailers"));
    parts
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn the_host_is_part_of_the_target() {
        let request = Request::post("/echo.Echo/Say?x=1").header("host", "shop.localhost:8080").header("x", "y");
        let asked = request.header("connection", "Upgrade").header("upgrade", "websocket").body(()).unwrap();
        let parts = over_http2(&asked.into_parts().0);
        assert_eq!(parts.uri, "http://shop.localhost:8080/echo.Echo/Say?x=1");
        let mut fields: Vec<_> = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        fields.sort_unstable();
        assert_eq!(fields, [("te", &b"trailers"[..]), ("x", b"y")]);
    }
}
