//! Dates of HTTP, in the three spellings that it has.

use std::time::UNIX_EPOCH;

use http::{HeaderMap, HeaderName};

use crate::Millis;

/// A header's date; `None` where there is none, or more than one, or it is no date.
pub(crate) fn date_of(headers: &HeaderMap, name: &HeaderName) -> Option<Millis> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    parse(value.to_str().ok()?)
}

/// A date as text.
pub(crate) fn parse(text: &str) -> Option<Millis> {
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    u64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}
