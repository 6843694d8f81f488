//! `Cache-Tag`: names that an answer gives itself, to be purged by.

use http::{HeaderMap, HeaderName};

/// The field, as Cloudflare and Netlify read it: names with commas between.
pub const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

const TAGS_MAX: usize = 64;
const TAG_BYTES_MAX: usize = 256;

/// Whether a text can be such a name: visible ASCII without commas.
pub fn is_tag(text: &str) -> bool {
    (1..=TAG_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}

/// The names of an answer; those that are none, or too many, are left out.
pub(crate) fn tags_of(answer: &HeaderMap) -> Vec<Box<str>> {
    let lines = answer.get_all(CACHE_TAG).iter().filter_map(|line| line.to_str().ok());
    let tags = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|tag| is_tag(tag));
    tags.take(TAGS_MAX).map(Into::into).collect()
}
