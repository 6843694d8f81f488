//! Heads as they travel over HTTP/1.1: the same bytes that the strict implementation would write.

use http::{HeaderMap, StatusCode};

use crate::now::{Moment, with_texts};

/// A status line and headers, without the empty line that ends a head.
pub(crate) fn head(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut out = Vec::with_capacity(384);
    self::status(&mut out, status);
    for (name, value) in headers {
        field(&mut out, name.as_str(), value.as_bytes());
    }
    out
}

/// A status line.
pub(crate) fn status(out: &mut Vec<u8>, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("Unknown").as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// One header.
pub(crate) fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The date, and the end of the head.
pub(crate) fn end(out: &mut Vec<u8>, now: Moment) {
    with_texts(now, |texts| field(out, "date", texts.date.as_bytes()));
    out.extend_from_slice(b"\r\n");
}

/// How long a name is that [`lower`] takes.
pub(crate) const NAME_BYTES: usize = 64;

/// The name of a header in lower case; `None` where it is longer than the buffer.
pub(crate) fn lower<'b>(name: &str, buffer: &'b mut [u8; NAME_BYTES]) -> Option<&'b str> {
    let place = buffer.get_mut(..name.len())?;
    place.copy_from_slice(name.as_bytes());
    place.make_ascii_lowercase();
    std::str::from_utf8(place).ok()
}
