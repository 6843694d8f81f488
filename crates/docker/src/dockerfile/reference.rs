//! Names of images, and the arguments they may be made of. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{OWN_IMAGES, is_plain};

/// The arguments before the first `FROM`, with their defaults.
#[derive(Default)]
pub(super) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Takes what an `ARG` declares.
    pub(super) fn declare(&mut self, rest: &str) {
        for word in rest.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            self.0.insert(name.to_owned(), unquoted.to_owned());
        }
    }

    /// The text with `$NAME` and `${NAME}` put in; `None` where it has anything else that the engine would work on.
    pub(super) fn substitute(&self, text: &str) -> Option<String> {
        let mut pieces = text.split('$');
        let mut result = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = match piece.strip_prefix('{') {
                Some(piece) => piece.split_once('}')?,
                None => {
                    let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(piece.len());
                    piece.split_at(end)
                }
            };
            result.push_str(self.0.get(name)?);
            result.push_str(rest);
        }
        is_plain(&result).then_some(result)
    }
}

/// Why an image may not be taken; `None` where it may.
pub(super) fn refusal_of_image(image: &str) -> Option<&'static str> {
    let lower = image.to_ascii_lowercase();
    let id = lower.strip_prefix("sha256:").unwrap_or(&lower);
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some("it reads as the beginning of an image's id");
    }
    let (registry, rest) = match lower.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, lower.as_str()),
    };
    let own = rest.strip_prefix("library/").unwrap_or(rest);
    if own.starts_with(OWN_IMAGES) {
        return Some("it is an image of this platform");
    }
    let host = registry?.rsplit_once(':').map_or_else(|| registry.unwrap_or_default(), |(host, _)| host);
    let is_address = host.starts_with('[')
        || host.parse::<IpAddr>().is_ok()
        || host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (is_address || !host.contains('.')).then_some("its registry is an address or has no domain")
}
