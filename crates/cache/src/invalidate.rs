//! Which kept answers a request that changes things makes worthless (RFC 9111, 4.4).

use http::header::{CONTENT_LOCATION, LOCATION};
use http::uri::Uri;
use http::{HeaderMap, Method, StatusCode};

/// Whether a request with this method, answered so, may have changed something.
pub fn changes_things(method: &Method, status: StatusCode) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    !reads && (status.is_success() || status.is_redirection())
}

/// The paths, with their queries, that may have changed: the one asked for, and those the answer names on this host.
pub fn changed_paths(asked: &Uri, host: &str, answer: &HeaderMap) -> Vec<String> {
    let mut paths = vec![path_of(asked)];
    for name in [LOCATION, CONTENT_LOCATION] {
        let named = answer.get(&name).and_then(|value| value.to_str().ok());
        paths.extend(named.and_then(|named| on_this_host(asked, host, named)));
    }
    paths.dedup();
    paths
}

fn on_this_host(asked: &Uri, host: &str, named: &str) -> Option<String> {
    let named = named.split('#').next().unwrap_or(named);
    if named.starts_with('/') && !named.starts_with("//") {
        return Some(path_of(&named.parse().ok()?));
    }
    match named.parse::<Uri>() {
        Ok(uri) if uri.authority().is_some() => {
            uri.host().is_some_and(|named| named.eq_ignore_ascii_case(host)).then(|| path_of(&uri))
        }
        // Relative to the folder of what was asked for.
        _ if !named.is_empty() && !named.contains(':') && !named.starts_with("//") => {
            let folder = asked.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            Some(format!("{folder}/{named}"))
        }
        _ => None,
    }
}

fn path_of(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_and_what_the_answer_names_here_has_changed() {
        let check = |location: &str| {
            let headers = HeaderMap::from_iter([(LOCATION, http::HeaderValue::from_str(location).unwrap())]);
            changed_paths(&"/a/b?x".parse().unwrap(), "shop.localhost", &headers).split_off(1).join(" ")
        };
        assert_eq!(check("/c?d#e"), "/c?d");
        assert_eq!(check("http://SHOP.localhost:8080/c"), "/c");
        assert_eq!(check("c?d"), "/a/c?d");
        for other in ["https://elsewhere.example/c", "//elsewhere.example/c", "mailto:a@b", ""] {
            assert_eq!(check(other), "", "{other}");
        }
    }

    #[test]
    fn only_what_succeeded_changes_things() {
        assert!(changes_things(&Method::POST, StatusCode::CREATED));
        assert!(changes_things(&Method::from_bytes(b"M-SEARCH").unwrap(), StatusCode::SEE_OTHER));
        assert!(!changes_things(&Method::POST, StatusCode::BAD_REQUEST));
        assert!(!changes_things(&Method::GET, StatusCode::OK));
    }
}
