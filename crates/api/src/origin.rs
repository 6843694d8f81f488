//! Which web pages may open a WebSocket.
//!
//! A browser opens one for any page to any host, without asking first, and says only whose page it is. Our tokens travel in headers that
//! no page can set there, so nothing of a browser's is lent to it; but some hosts ask for no token, and who reaches one of this machine is
//! somebody by that alone. So a page is let in on the host that it came from, and who is no browser says nothing.

use axum::http::{HeaderMap, HeaderValue, header};
use skylift_model::wire::Code;

use crate::error::ApiError;

/// Refuses the pages of other hosts.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_own = |origin: &HeaderValue| {
        let origin = origin.as_bytes();
        let rest = [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| origin.strip_prefix(scheme));
        rest.is_some_and(|from| from.eq_ignore_ascii_case(host))
    };
    if headers.get_all(header::ORIGIN).iter().all(is_own) {
        return Ok(());
    }
    Err(ApiError::new(
        Code::Forbidden,
        "a page of another host may not open a WebSocket here",
        "open it from a server or a program, or from a page of the same host",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_hosts_are_refused_and_programs_are_not() {
        let of = |origins: &[&'static str]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("piston.localhost:8080"));
            for origin in origins {
                headers.append(header::ORIGIN, HeaderValue::from_static(origin));
            }
            check(&headers).is_ok()
        };
        assert!(of(&[]) && of(&["http://piston.localhost:8080"]) && of(&["https://PISTON.localhost:8080"]));
        for origin in
            ["http://evil.example", "null", "", "http://piston.localhost", "http://piston.localhost:8080.evil.example"]
        {
            assert!(!of(&[origin]), "{origin}");
        }
        assert!(!of(&["http://piston.localhost:8080", "http://evil.example"]));
    }
}
