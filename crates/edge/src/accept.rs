//! Lists with weights (`text/html, */*;q=0.8`), and what the `Accept` header says (RFC 9110 §12.4 and §12.5.1).

use http::header::ACCEPT;
use http::{HeaderMap, HeaderName};

/// A weight in thousandths; 0 is a refusal.
pub(crate) type Weight = u16;

/// The items of every header of this name, each with its weight. Items with a malformed weight are left out.
pub(crate) fn weighted<'r>(headers: &'r HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'r str, Weight)> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).filter_map(
        |item| {
            let mut parts = item.split(';').map(str::trim);
            let token = parts.next().filter(|token| !token.is_empty())?;
            let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            Some((token, quality.map_or(Some(1000), parse_weight)?))
        },
    )
}

fn parse_weight(text: &str) -> Option<Weight> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: Weight = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// Whether the client wants a page to show: its `Accept` names `text/html`, or the browser says it navigates.
pub(crate) fn is_navigation(headers: &HeaderMap) -> bool {
    let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"navigate"));
    navigates || weight_of(headers, "text/html").is_some_and(|weight| weight > 0)
}

/// Whether a page is better than what programs get: `Accept` names `text/html`, and no JSON above it.
pub(crate) fn prefers_page(headers: &HeaderMap) -> bool {
    is_navigation(headers) && !prefers_json(headers)
}

/// Whether an error is better told as JSON than as a page.
pub(crate) fn prefers_json(headers: &HeaderMap) -> bool {
    let json = weight_of(headers, "application/json").unwrap_or(0);
    json > weight_of(headers, "text/html").unwrap_or(0)
}

fn weight_of(headers: &HeaderMap, media_type: &str) -> Option<Weight> {
    weighted(headers, &ACCEPT).find(|(token, _)| token.eq_ignore_ascii_case(media_type)).map(|(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, http::HeaderValue::from_static(value))])
    }

    #[test]
    fn weights_follow_their_grammar() {
        let good = [("0", 0), ("0.", 0), ("0.5", 500), ("0.05", 50), ("0.123", 123), ("1", 1000), ("1.000", 1000)];
        for (text, weight) in good {
            assert_eq!(parse_weight(text), Some(weight), "{text}");
        }
        for bad in ["", "1.001", "2", "-1", "0.1234", ".5", "0.x", "+0", "1e1"] {
            assert_eq!(parse_weight(bad), None, "{bad}");
        }
    }

    #[test]
    fn browsers_navigate_and_scripts_do_not() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        assert!(is_navigation(&accept(browser)));
        assert!(is_navigation(&accept("TEXT/HTML")));
        assert!(!is_navigation(&accept("*/*")));
        assert!(!is_navigation(&accept("text/html;q=0")));
        assert!(!is_navigation(&accept("text/html;q=x")));
        assert!(!is_navigation(&HeaderMap::new()));
        let mut headers = accept("*/*");
        headers.insert("sec-fetch-mode", http::HeaderValue::from_static("navigate"));
        assert!(is_navigation(&headers));
    }

    #[test]
    fn json_is_told_to_those_who_prefer_it() {
        assert!(prefers_json(&accept("application/json")));
        assert!(prefers_json(&accept("text/html;q=0.5, application/json")));
        assert!(!prefers_json(&accept("text/html, application/json")));
        assert!(!prefers_json(&accept("application/json;q=0")));
        assert!(!prefers_json(&accept("*/*")));
    }
}
