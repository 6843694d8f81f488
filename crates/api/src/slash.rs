//! A slash at the end of an address, which clients of other platforms write and ours leave out.

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// The address that is meant, where one with a slash at its end was asked for. Every address of an adapter's own name, and of the bare
/// domain those at which code is sent; others may end with the name of a folder.
pub fn without_slash(uri: &Uri, is_adapter: bool) -> Option<Uri> {
    let path = uri.path();
    if !(is_adapter || path == "/run/" || path.starts_with("/v1/runs/")) {
        return None;
    }
    let shorter = path.strip_suffix('/').filter(|shorter| !shorter.is_empty() && !shorter.ends_with('/'))?;
    let meant = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{shorter}?{query}")),
        None => PathAndQuery::try_from(shorter),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(meant.ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_is_passed_over_where_nothing_else_is_meant_by_it() {
        let meant = |uri: &str, is_adapter| without_slash(&uri.parse().unwrap(), is_adapter).map(|uri| uri.to_string());
        for (uri, of_adapter, of_domain) in [
            ("/submissions/?base64_encoded=false&wait=true", Some("/submissions?base64_encoded=false&wait=true"), None),
            ("/languages/", Some("/languages"), None),
            ("/api/v2/execute/", Some("/api/v2/execute"), None),
            ("http://judge0.localhost/languages/?", Some("http://judge0.localhost/languages?"), None),
            ("/run/", Some("/run"), Some("/run")),
            ("/v1/runs/", Some("/v1/runs"), Some("/v1/runs")),
            ("/v1/runs/batch/?a=/", Some("/v1/runs/batch?a=/"), Some("/v1/runs/batch?a=/")),
            ("/v1/deployments/d-1/output/src/", Some("/v1/deployments/d-1/output/src"), None),
            ("/", None, None),
            ("//", None, None),
            ("/run//", None, None),
            ("/run", None, None),
            ("/submissions?at=/", None, None),
        ] {
            assert_eq!(meant(uri, true).as_deref(), of_adapter, "{uri}");
            assert_eq!(meant(uri, false).as_deref(), of_domain, "{uri}");
        }
    }
}
