//! The headers of answers from files.

use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode};

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
