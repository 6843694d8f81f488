//! Which fields may be set by whom.

use crate::limits::HEADER_BYTES_MAX;
use crate::reject::Reason;
use crate::text::has_control;

/// Fields that belong to the platform: how a message is framed and carried, which bytes it holds, and who sent it.
const PROTECTED: &[&str] = &[
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "etag",
    "keep-alive",
    "location",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

/// A field in lower case with a value, where it may be set.
pub(crate) fn admit(name: &str, value: &str) -> Result<(String, String), Reason> {
    let name = admit_name(name)?;
    if has_control(value) {
        return Err(Reason::Control);
    }
    if value.len() > HEADER_BYTES_MAX {
        return Err(Reason::LineTooLong(HEADER_BYTES_MAX));
    }
    Ok((name, value.to_owned()))
}

/// A name in lower case, where the field may be changed.
pub(crate) fn admit_name(name: &str) -> Result<String, Reason> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
        return Err(Reason::HeaderName(crate::text::plain(name, 64)));
    }
    let lower = name.to_ascii_lowercase();
    if lower == "basic-auth" {
        return Err(Reason::BasicAuth);
    }
    if PROTECTED.contains(&lower.as_str()) || lower.starts_with("x-skylift-") {
        return Err(Reason::ProtectedHeader(lower));
    }
    Ok(lower)
}
