//! Which stored form of a file to send (RFC 9110 §12.5.3).

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use skylift_model::site::Encoding;

use crate::accept::{Weight, weighted};

/// The forms a client may be sent, by its `Accept-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The bytes as they are.
    Identity,
    /// One of the stored variants.
    Variant(Encoding),
}

/// What we prefer where the client does not mind; smallest first.
const PREFERENCE: [Encoding; 3] = [Encoding::Br, Encoding::Zstd, Encoding::Gzip];

/// What a client takes.
#[derive(Debug, Default)]
struct Wanted {
    identity: Option<Weight>,
    anything: Option<Weight>,
    named: [Option<Weight>; PREFERENCE.len()],
}

/// The best stored form, `None` where the client refuses them all. Without the header only identity is safe.
pub(crate) fn negotiate(headers: &HeaderMap, stored: impl Fn(Encoding) -> bool) -> Option<Choice> {
    if !headers.contains_key(ACCEPT_ENCODING) {
        return Some(Choice::Identity);
    }
    let wanted = Wanted::read(headers);
    // Unnamed identity is acceptable, but whatever was asked for by name comes first.
    let identity = wanted.identity.or(wanted.anything);
    let mut best = match identity {
        Some(0) => None,
        weight => Some((Choice::Identity, weight.unwrap_or(0))),
    };
    for (encoding, named) in PREFERENCE.into_iter().zip(wanted.named).rev() {
        let weight = named.or(wanted.anything).unwrap_or(0);
        if weight > 0 && stored(encoding) && best.is_none_or(|(_, other)| weight >= other) {
            best = Some((Choice::Variant(encoding), weight));
        }
    }
    best.map(|(choice, _)| choice)
}

/// Whether the client takes the bytes as they are.
pub(crate) fn takes_identity(headers: &HeaderMap) -> bool {
    negotiate(headers, |_| false).is_some()
}

impl Wanted {
    fn read(headers: &HeaderMap) -> Self {
        let mut wanted = Self::default();
        for (token, weight) in weighted(headers, &ACCEPT_ENCODING) {
            if token == "*" {
                wanted.anything = Some(weight);
            } else if token.eq_ignore_ascii_case("identity") {
                wanted.identity = Some(weight);
            }
            let token = if token.eq_ignore_ascii_case("x-gzip") { "gzip" } else { token };
            for (encoding, named) in PREFERENCE.into_iter().zip(&mut wanted.named) {
                if token.eq_ignore_ascii_case(encoding.as_str()) {
                    *named = Some(weight);
                }
            }
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: Option<&'static str>, stored: &[Encoding]) -> &'static str {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(ACCEPT_ENCODING, http::HeaderValue::from_static(header));
        }
        match negotiate(&headers, |encoding| stored.contains(&encoding)) {
            Some(Choice::Identity) => "identity",
            Some(Choice::Variant(encoding)) => encoding.as_str(),
            None => "none",
        }
    }

    #[test]
    fn the_heaviest_stored_form_wins_and_we_break_ties() {
        for (header, expected) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip, zstd", "zstd"),
            ("gzip", "gzip"),
            ("x-gzip", "gzip"),
            ("GZIP", "gzip"),
            ("br;q=0.5, gzip", "gzip"),
            ("br;q=0.5, gzip;q=0.5", "br"),
            ("br;q=0, *", "zstd"),
            ("*", "br"),
            ("*;q=0.1", "br"),
            ("identity", "identity"),
            ("identity, gzip;q=0.5", "identity"),
            ("identity, gzip", "gzip"),
            ("identity;q=0.5, gzip;q=0.4", "identity"),
            ("", "identity"),
            ("deflate, compress", "identity"),
            ("br;q=0", "identity"),
            ("gzip;q=x", "identity"),
            ("*;q=0", "none"),
            ("identity;q=0", "none"),
            ("identity;q=0, *;q=0.5", "br"),
            ("identity;q=0, br", "br"),
            ("*;q=0, gzip", "gzip"),
            ("*;q=0, identity", "identity"),
        ] {
            assert_eq!(check(Some(header), &PREFERENCE), expected, "{header:?}");
        }
    }

    #[test]
    fn only_stored_forms_are_chosen() {
        assert_eq!(check(None, &PREFERENCE), "identity");
        assert_eq!(check(Some("br, gzip;q=0.1"), &[Encoding::Gzip]), "gzip");
        assert_eq!(check(Some("br"), &[Encoding::Gzip]), "identity");
        assert_eq!(check(Some("identity;q=0, br"), &[Encoding::Gzip]), "none");
    }
}
