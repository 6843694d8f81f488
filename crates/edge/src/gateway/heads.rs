//! The headers of answers from files, and what rules of a site make of them.

use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use skylift_rules::HeaderChange;

use crate::range::Part;
use crate::site::decide::Chosen;

/// Of all of a file: a 200, or a 404 with a site's own page.
pub(crate) fn head_of(status: StatusCode, chosen: Chosen<'_>) -> HeaderMap {
    let mut headers = chosen.entry.headers(chosen.form);
    if status == StatusCode::NOT_FOUND {
        // It stands for whatever was asked for, which may exist the next time.
        headers.remove(ETAG);
        headers.remove(ACCEPT_RANGES);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers
}

/// Of a part of a file.
pub(crate) fn head_of_part(chosen: Chosen<'_>, part: Part) -> HeaderMap {
    let mut headers = chosen.entry.headers(chosen.form);
    let last = part.first + part.length.saturating_sub(1);
    if let Ok(range) = HeaderValue::from_str(&format!("bytes {}-{last}/{}", part.first, chosen.form.size)) {
        headers.insert(CONTENT_RANGE, range);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(part.length));
    headers
}

/// Of several parts, whose own headers are in a body of this length.
pub(crate) fn head_of_parts(chosen: Chosen<'_>, boundary: &str, length: u64) -> HeaderMap {
    let mut headers = chosen.entry.headers(chosen.form);
    if let Ok(media_type) = HeaderValue::from_str(&format!("multipart/byteranges; boundary={boundary}")) {
        headers.insert(CONTENT_TYPE, media_type);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers
}

/// Of a 304: those of the 200 it stands for, without what describes a body.
pub(crate) fn not_modified(chosen: Chosen<'_>) -> HeaderMap {
    let mut headers = chosen.entry.headers(chosen.form);
    for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, ACCEPT_RANGES] {
        headers.remove(name);
    }
    headers
}

/// How many fields the head of an answer may have, and how many bytes rules may add to it; what goes beyond is left out.
const FIELDS_MAX: usize = 128;
const BYTES_MAX: usize = 32 << 10;

/// Changes a head as the site's rules want it.
pub(crate) fn dress(changes: Vec<HeaderChange<'_>>, head: &mut HeaderMap) {
    let mut bytes = 0;
    for change in changes {
        let Ok(name) = HeaderName::from_bytes(change.name().as_bytes()) else { continue };
        let value = match change {
            HeaderChange::Remove(_) => {
                head.remove(name);
                continue;
            }
            HeaderChange::Set(_, value) => HeaderValue::from_str(&value),
            HeaderChange::Append(_, value) => {
                let before = head.get(&name).and_then(|before| before.to_str().ok());
                let joined = before.map_or_else(|| value.to_string(), |before| format!("{before}, {value}"));
                HeaderValue::from_str(&joined)
            }
        };
        let Ok(value) = value else { continue };
        bytes += name.as_str().len() + value.len();
        if bytes > BYTES_MAX || head.len() >= FIELDS_MAX && !head.contains_key(&name) {
            tracing::debug!("rules set more header fields than an answer may have");
            break;
        }
        head.insert(name, value);
    }
}
